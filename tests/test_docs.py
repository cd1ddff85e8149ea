"""The pages under docs/ do what they say."""

import os
import pathlib
import re
import subprocess
import sys

import commandkit
import pytest

from jmim.core import base_config
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import field
from jmim.core import validate
from jmim.evals.lib import base
from jmim.runlog import clock
from jmim.runlog import meter

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGE = DOCS / "add_a_method.md"


def write_files(page, wanted, folder):
  """Writes the files of a page where it says; they are those wanted."""
  blocks = re.findall(
    r"```python\n# file: (\S+)\n(.*?)```", page.read_text(), re.DOTALL
  )
  assert [name for name, _ in blocks] == wanted
  for name, text in blocks:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
  (folder / "configs").symlink_to(ROOT / "configs")
  return folder


@pytest.fixture
def lab(tmp_path):
  """The files of docs/add_a_method.md."""
  files = ("denoise.py", "denoise_digits.py", "bright.py")
  return write_files(PAGE, [f"my_lab/{name}" for name in files], tmp_path)


def run(command, cwd, *more):
  env = {**os.environ, "PYTHONPATH": f"{cwd}{os.pathsep}{ROOT}"}
  env.pop("XLA_FLAGS", None)  # one device is enough
  return subprocess.run(
    [sys.executable, *command, *more],
    cwd=cwd,
    env=env,
    text=True,
    capture_output=True,
    check=False,
  )


def command(start, page=PAGE):
  """The arguments of a documented command, as the page has it."""
  shown = (words[1:] for words in commandkit.of_page(page))
  return next(words for words in shown if " ".join(words).startswith(start))


def test_the_documented_method_trains(lab):
  done = run(
    command("-m jmim.main"),
    lab,
    "--config.train.total_steps=40",
    "--config.data.batch=16",
    f"--config.data.data_dir={lab}/data",
    "--config.evals.probe.train_limit=200",
    "--config.evals.probe.limit=100",
  )
  assert done.returncode == 0, done.stderr
  assert "probe/accuracy" in done.stdout


SHORT = (
  "--config.train.total_steps=4",
  "--config.schedule.warmup_steps=1",
  "--config.data.batch=16",
  "--config.evals.recon=None",
  "--config.evals.loss=None",
  "--config.evals.probe=None",
)


@pytest.mark.slow
def test_the_documented_data_set_is_made_and_trained_on(tmp_path):
  page = DOCS / "add_a_data_set.md"
  write_files(page, ["my_lab/stripes.py"], tmp_path)
  done = run(command("-m my_lab.stripes", page), tmp_path)
  assert done.returncode == 0, done.stderr
  (tmp_path / "my_lab" / "stripes.py").unlink()  # the files say it all
  done = run(command("-m jmim.main", page), tmp_path, *SHORT)
  assert done.returncode == 0, done.stderr
  assert "mim.mae on stripes" in done.stdout


@pytest.mark.slow
def test_the_documented_evaluator_is_used(tmp_path):
  page = DOCS / "add_an_evaluator.md"
  files = ["my_lab/spread.py", "my_lab/spread_digits.py"]
  write_files(page, files, tmp_path)
  done = run(
    command("-m jmim.main", page),
    tmp_path,
    *SHORT,
    "--config.evals.spread.limit=100",
  )
  assert done.returncode == 0, done.stderr
  alike = float(re.search(r"spread/alike +(\S+)", done.stdout)[1])
  assert 0 < alike <= 1
  assert re.search(r"spread/examples +100\b", done.stdout)


@pytest.mark.slow
def test_the_documented_mask_is_used(lab):
  done = run(command("-m jmim.main --config=configs/mae"), lab, *SHORT)
  assert done.returncode == 0, done.stderr
  assert "my_lab.bright on digits" in done.stdout


@pytest.mark.slow
def test_the_documented_method_passes_the_contract(lab):
  start = "-m pytest tests/contract"
  arguments = [a.replace("tests/", f"{ROOT}/tests/") for a in command(start)]
  done = run(arguments, lab, f"--rootdir={ROOT}", "-k", "denoise")
  assert done.returncode == 0, done.stdout
  assert re.search(r"\d\d passed", done.stdout)


def test_keys_for_those_who_come_from_elsewhere_exist():
  known = set(base_config.KEYS)
  for name in ("mim.mae", "supervised.finetune", "diffusion.dit"):
    keys = field.documented(discovery.find(name))
    known |= {f"method.{key}" for key in keys}
  text = (DOCS / "coming_from.md").read_text()
  rows = re.findall(r"^\| [^|]*`-[^|]*\|([^|]*)\|$", text, re.MULTILINE)
  named = re.findall(r"`([a-z]\w*(?:\.\w+)*)(?:=[^`]*)?`", " ".join(rows))
  arguments = {"size", "weights"}  # of a recipe, and of an evaluator
  assert len(named) > 50 and set(named) - known - arguments == set()
  for key, value in re.findall(r"`([a-z]\w*(?:\.\w+)+)=([^`]*)`", text):
    if known_here := base_config.KEYS.get(key):
      configs.override(configs.base(), [f"{key}={value}"])
      validate.check_limits(
        key, type(known_here.default)(value), known_here.metadata
      )


PROCEDURES = DOCS / "procedures.md"


@pytest.fixture
def tweedie(tmp_path):
  """The files of docs/procedures.md."""
  files = ["my_lab/tweedie.py", "my_lab/tweedie_digits.py"]
  return write_files(PROCEDURES, files, tmp_path)


def test_the_documented_procedure_passes_the_contract(tweedie):
  start = "-m pytest tests/contract"
  arguments = [
    a.replace("tests/", f"{ROOT}/tests/") for a in command(start, PROCEDURES)
  ]
  done = run(arguments, tweedie, f"--rootdir={ROOT}", "-q")
  assert done.returncode == 0, done.stdout
  assert re.search(r"\d passed|\.{8}", done.stdout)


@pytest.mark.slow
def test_the_documented_procedure_is_applied(tweedie):
  data = f"--config.data.data_dir={tweedie}/data"
  done = run(
    ["-m", "jmim.main", "--config=configs/ldm_digits.py:pixels=True,steps=2"],
    tweedie,
    "--workdir=runs/ldm",
    "--config.data.batch=8",
    "--config.schedule.warmup_steps=0",
    "--config.evals.errors=None",
    "--config.evals.samples=None",
    data,
  )
  assert done.returncode == 0, done.stderr
  done = run(
    command("-m jmim.main --mode=apply --config=my_lab", PROCEDURES),
    tweedie,
    "--config.apply.num=8",
    "--config.data.batch=8",
    data,
  )
  assert done.returncode == 0, done.stderr
  assert "8 of them new" in done.stdout and "restored/psnr" in done.stdout


def test_the_table_of_procedures_names_every_member():
  from jmim.core import procedure  # noqa: PLC0415

  text = PROCEDURES.read_text()
  members = [
    n
    for n, v in vars(procedure.Procedure).items()
    if not n.startswith("_") and n not in ("tiny", "rt", "fits")
  ]
  assert "apply" in members
  for name in members:
    assert f"`{name}" in text, name


def test_the_contract_table_names_every_member():
  from jmim.core import method  # noqa: PLC0415

  text = PAGE.read_text()
  members = [
    n
    for n, v in vars(method.Method).items()
    if callable(v) and not n.startswith("_") and n != "tiny"
  ]
  assert "loss" in members
  for name in members:
    assert f"`{name}(" in text, name


def test_every_evaluator_has_its_paragraph_and_its_equation():
  from jmim.core import discovery  # noqa: PLC0415
  from jmim.evals.lib import base  # noqa: PLC0415

  text = (DOCS / "evals.md").read_text()
  for name in base.names():
    assert hasattr(discovery.find_evaluator(name), "run"), name
    paragraph = re.search(
      rf"^\*\*`{name}`\*\* .*?(?=^\*\*|^## |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert paragraph, name
    assert re.search(r"\n\n    \S.* = ", paragraph[0]), f"{name}: no equation"


def test_every_method_is_in_the_gallery():
  text = (DOCS / "methods.md").read_text()
  for path in (ROOT / "jmim" / "methods").rglob("*.py"):
    if not path.name.startswith("_"):
      link = f"(../{path.relative_to(ROOT).as_posix()})"
      assert link in text, f"docs/methods.md says nothing of {path.name}"


PAGES = [
  ROOT / "README.md",
  ROOT / "colab" / "README.md",
  *sorted(DOCS.glob("*.md")),
]


def anchors(page):
  """Anchors of the headings of a page, as GitHub and MkDocs make them."""
  text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.M)
  found = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
  plain = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in found)
  return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_between_pages_exist(page):
  for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", page.read_text()):
    path, _, anchor = target.partition("#")
    if "://" in path:
      continue
    to = page.parent / path if path else page
    assert to.exists(), target
    if anchor:
      assert anchor in anchors(to), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_headings_stand_apart(page):
  text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.M)
  assert not re.findall(r"\S\n(#+ .+)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_table_says_a_thing_once(page):
  """By the first cell, or the first file that it links to."""
  for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
    cells = re.findall(r"^\| *([\[`][^|]*?) *\|", table, re.MULTILINE)
    rows = [re.sub(r"^(\[.*?\]\(.*?\)).*", r"\1", cell) for cell in cells]
    twice = {row for row in rows if rows.count(row) > 1}
    assert not twice


def test_numbers_of_schedules_and_samplers_are_those_of_their_tables():
  words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
  words = [*words, "nine", "ten", "eleven", "twelve"]
  text = (DOCS / "diffusion.md").read_text()
  counted = []
  for heading in ("Schedules", "Samplers"):
    rows = text.partition(f"\n## {heading} ")[2].partition("\n\n\n")[0]
    table = re.search(r"(?:^\|.*\n)+", rows, re.MULTILINE)[0]
    names = re.findall(r"^\| ([^|]*`) \|", table, re.MULTILINE)
    counted.append(words[sum(name.count("`") // 2 for name in names)])
  said = "{} schedules, {} samplers".format(*counted)
  umd = ROOT / "colab" / "02_masked_diffusion_umd.py"
  for page in (ROOT / "README.md", umd):
    assert said in page.read_text().lower(), f"{page.name}: {said}"


def test_anchors_are_those_of_the_headings():
  assert {"exit-codes", "what-a-checkpoint-is"} <= anchors(DOCS / "faults.md")


def test_the_glossary_has_all_evaluators_and_columns():
  text = (DOCS / "glossary.md").read_text()
  results = text.partition("## Results")[2]
  rows = set(re.findall(r"^\| `(\w+)` \|", results, re.MULTILINE))
  assert rows == set(base.names())
  line = meter.columns(
    {"loss": 1.0},
    {
      "lr": 1.0,
      "images_per_second": 1.0,
      "mfu": 0.5,
      "input_wait": 0.1,
      "skipped_steps": 1,
    },
    60.0,
  )
  assert all(f"`{name}`" in text for name in [*line, "goodput"])
  assert all(f"`{part}`" in text for part in clock.PARTS[1:])
