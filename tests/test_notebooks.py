"""The notebooks in colab/ are what their scripts make, and run."""

import importlib.util
import pathlib
import re
import shlex

import nbformat
import pytest
import test_doc_commands as doc_commands

ROOT = pathlib.Path(__file__).resolve().parents[1]
COLAB = ROOT / "colab"


def _make():
  spec = importlib.util.spec_from_file_location("make", COLAB / "make.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


make = _make()
SCRIPTS = make.scripts()


def test_there_is_a_script_for_every_notebook():
  names = [path.stem for path in SCRIPTS]
  assert names == sorted(p.stem for p in COLAB.glob("*.ipynb"))
  assert [name[:2] for name in names] == [f"{i:02}" for i in range(1, 8)]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_notebook_is_that_of_its_script_and_has_outputs(path):
  book = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
  nbformat.validate(book)
  made = make.build(path)
  source = lambda b: [(c.cell_type, c.source) for c in b.cells]
  assert source(book) == source(made), "run: python colab/make.py"
  code = [c for c in book.cells if c.cell_type == "code"]
  assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
  outputs = [o for c in code for o in c.outputs]
  assert len(outputs) >= 3
  for cell in code:
    assert cell.outputs or "!$JMIM" not in cell.source, cell.source
  assert not [o for o in outputs if o.output_type == "error"]
  for output in outputs:
    clutter = r"Traceback|WARNING|/(tmp|root|home|work)/|\x1b|site-packages"
    assert not re.search(clutter, str(output)), output
  assert path.with_suffix(".ipynb").stat().st_size < 1_000_000


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_first_code_cell_installs(path):
  first = next(c for c in make.build(path).cells if c.cell_type == "code")
  assert first.source == (COLAB / "_install.py").read_text().strip()


def _commands():
  lines = [x for path in SCRIPTS for x in path.read_text().splitlines()]
  found = (re.match(r"# !\$JMIM (.*)", line) for line in lines)
  return [shlex.split(match[1]) for match in found if match]


@pytest.mark.parametrize("words", _commands(), ids=lambda w: " ".join(w)[:60])
def test_commands_have_flags_and_keys_that_there_are(words):
  if "--config.method.sgima=0.3" not in words:  # meant to be wrong
    doc_commands.check_flags(words)


def test_files_of_the_docs_are_written_by_cells():
  book = make.build(COLAB / "03_write_your_own_method.py")
  written = [c.source for c in book.cells if c.source.startswith("%%writefile")]
  assert [w.split("\n")[0].split()[1] for w in written] == [
    "my_lab/denoise.py",
    "my_lab/denoise_digits.py",
  ]
  assert "class Denoise(method.Method):" in written[0]


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_it_runs_from_top_to_bottom(path, tmp_path):
  for module in ("nbclient", "ipykernel"):
    if not importlib.util.find_spec(module):
      pytest.skip(f"{module} is not installed: pip install 'jmim[colab]'")
  for name in ("jmim", "configs", "docs"):  # what it leaves stays in tmp_path
    (tmp_path / name).symlink_to(ROOT / name)
  (tmp_path / "colab").mkdir()
  make.run(make.build(path), tmp_path / "colab")  # raises at the first error
