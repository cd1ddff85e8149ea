"""The pages under docs/ do what they say."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "add_a_method.md"


@pytest.fixture
def lab(tmp_path):
  """The files of docs/add_a_method.md, written where the page says."""
  blocks = re.findall(r"```python\n# file: (\S+)\n(.*?)```", PAGE.read_text(),
                      re.DOTALL)  # fmt: skip
  assert [name for name, _ in blocks] == [
    "my_lab/denoise.py", "my_lab/denoise_digits.py",
  ]  # fmt: skip
  for name, text in blocks:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
  return tmp_path


def run(command, cwd, *more):
  env = {**os.environ, "PYTHONPATH": f"{cwd}{os.pathsep}{ROOT}"}
  env.pop("XLA_FLAGS", None)  # one device is enough
  return subprocess.run(
    [sys.executable, *command, *more], cwd=cwd, env=env, text=True,
    capture_output=True, check=False,
  )  # fmt: skip


def command(start):
  """The arguments of a documented command, as the page has it."""
  line = re.search(rf"^python ({re.escape(start)}.*)$", PAGE.read_text(),
                   re.MULTILINE)  # fmt: skip
  return line[1].split()


def test_the_documented_method_trains(lab):
  done = run(
    command("-m jmim.main"), lab, "--config.train.total_steps=40",
    "--config.data.batch=16", f"--config.data.data_dir={lab}/data",
    "--config.evals.probe.train_limit=200", "--config.evals.probe.limit=100",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert "probe/accuracy" in done.stdout


@pytest.mark.slow
def test_the_documented_method_passes_the_contract(lab):
  start = "-m pytest tests/contract"
  arguments = [a.replace("tests/", f"{ROOT}/tests/") for a in command(start)]
  done = run(arguments, lab, f"--rootdir={ROOT}", "-k", "denoise")
  assert done.returncode == 0, done.stdout
  assert re.search(r"\d\d passed", done.stdout)


def test_the_contract_table_names_every_member():
  from jmim.core import method  # noqa: PLC0415

  text = PAGE.read_text()
  members = [
    n for n, v in vars(method.Method).items()
    if callable(v) and not n.startswith("_") and n != "tiny"
  ]  # fmt: skip
  assert "loss" in members
  for name in members:
    assert f"`{name}(" in text, name


def test_every_evaluator_has_its_paragraph_and_its_equation():
  from jmim.evals import base  # noqa: PLC0415

  text = (ROOT / "docs" / "evals.md").read_text()
  for name in base.names():
    assert hasattr(base.find(name), "run"), name
    paragraph = re.search(
      rf"^\*\*`{name}`\*\* .*?(?=^\*\*|^## |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert paragraph, name
    assert re.search(r"\n\n    \S.* = ", paragraph[0]), f"{name}: no equation"


def test_every_method_is_in_the_gallery():
  text = (ROOT / "docs" / "methods.md").read_text()
  for path in (ROOT / "jmim" / "methods").rglob("*.py"):
    if not path.name.startswith("_"):
      link = f"(../{path.relative_to(ROOT).as_posix()})"
      assert link in text, f"docs/methods.md says nothing of {path.name}"


PAGES = [
  ROOT / "README.md", ROOT / "colab" / "README.md",
  *sorted((ROOT / "docs").glob("*.md")),
]  # fmt: skip


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


def test_anchors_are_those_of_the_headings():
  assert {"exit-codes", "what-a-checkpoint-is"} <= anchors(
    ROOT / "docs" / "faults.md"
  )
