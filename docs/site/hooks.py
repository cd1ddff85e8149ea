"""Hooks of MkDocs: the pages of the API, the order of pages, links to files.

The pages in docs/ are written to be read in the repository: their links to
`../jmim/...py` become links to the API here, and those to other files of the
repository become their names.
"""

import pathlib
import posixpath
import re

from mkdocs.structure import files as site_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Title -> page, in the order of the menu; a page that is not there is skipped.
PAGES = {
  "Quick start": "index.md",
  "Your own images": "own_images.md",
  "Coming from MAE, DiT or timm": "coming_from.md",
  "Python": "python.md",
  "How a run works": "concepts.md",
  "Glossary": "glossary.md",
  "The report of a run": "report.md",
  "Recipes": "recipes.md",
  "All keys": "keys.md",
  "Data": "data.md",
  "Data: made, paired, spoilt": "data_special.md",
  "Methods: a gallery": "methods.md",
  "Diffusion": "diffusion.md",
  "Procedures": "procedures.md",
  "Evaluators": "evals.md",
  "Before there are chips": "dry_run.md",
  "Scale": "scale.md",
  "Checkpoints and faults": "faults.md",
  "Weights in and out": "weights.md",
  "Add a method": "add_a_method.md",
  "Add a data set": "add_a_data_set.md",
  "Add an evaluator": "add_an_evaluator.md",
  "Claims": "claims.md",
  "Benchmarks": "benchmarks.md",
  "Dependencies": "dependencies.md",
  "How data are read": "data_tests.md",
  "How faults are met": "fault_tests.md",
  "Questions": "faq.md",
}
_LINK = re.compile(r"(?P<words>\[[^\]\[]*\])\((?P<target>(?:\.\./)+[^)\s]+)\)")


def documented(path: pathlib.Path) -> bool:
  """Whether a file of the repository has a place in the API."""
  if path.suffix != ".py" or path.name.startswith("_") or not path.is_file():
    return False
  return ROOT / "jmim" in path.parents and bool(path.read_text().strip())


def packages() -> dict[str, list[str]]:
  """Page of the API -> its modules: one page per folder below jmim."""
  found: dict[str, list[str]] = {}
  for path in sorted((ROOT / "jmim").rglob("*.py")):
    if not documented(path):
      continue
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    package = module.rpartition(".")[0]
    found.setdefault(package, []).append(module)
  return found


def pages() -> list[dict[str, str]]:
  """What of `PAGES` is there; other pages of docs/ come last."""
  here = {p.name for p in (ROOT / "docs").glob("*.md")}
  listed = [{t: p} for t, p in PAGES.items() if p in here]
  rest = sorted(here - set(PAGES.values()))
  return listed + [{p.removesuffix(".md"): p} for p in rest]


def on_config(config):
  """Fills the menu."""
  api = [{name: f"api/{name}.md"} for name in packages()]
  config.nav = [*pages(), {"API": api}]
  return config


def on_files(files, config):
  """Adds one page per package."""
  for package, modules in packages().items():
    text = "\n\n".join(f"::: {module}" for module in modules)
    page = site_files.File.generated(
      config, f"api/{package}.md", content=f"# {package}\n\n{text}\n"
    )
    files.append(page)
  return files


def on_page_markdown(markdown, page, config, files):
  """Turns links that lead out of docs/ into links to the API, or names."""
  here = posixpath.dirname(page.file.src_uri)

  def inside(match: re.Match) -> str:
    target = posixpath.normpath(posixpath.join("docs", here, match["target"]))
    module = target.removesuffix(".py").replace("/", ".")
    package = module.rpartition(".")[0]
    if documented(ROOT / target):
      return f"{match['words']}(api/{package}.md#{module})"
    return match["words"][1:-1]

  return _LINK.sub(inside, markdown)
