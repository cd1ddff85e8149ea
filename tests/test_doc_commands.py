"""Every command of README.md, docs/ and docstrings could be typed.

Its keys, flags and files are there, and a recipe takes its arguments.
"""

import importlib.util
import os
import pathlib
import re
import subprocess

import commandkit
import pytest
from absl import flags

from jmim import main
from jmim.core import config as configs
from jmim.core import recipes
from jmim.core import validate

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def said(words):
  """A command without the numbers and words that are left to the reader."""
  left = r"--(?!workdir).*=(\.\.\.|N|\(.(, .)+\))$|--workdir=\.\.\.$"
  return [word for word in words if not re.match(left, word)]


MODULES = [*(ROOT / "jmim").rglob("*.py"), *(ROOT / "configs").rglob("*.py")]
OF_PAGES = [(p.name, c) for p in PAGES for c in commandkit.of_page(p)]
ALL = OF_PAGES + [
  (p.name, said(c)) for p in sorted(MODULES) for c in commandkit.of_module(p)
]
RUNS = [c for c in ALL if c[1][1:3] == ["-m", "jmim.main"]]
TOOLS = [
  c
  for c in ALL
  if c[1][1:2] == ["-m"] and c[1][2].startswith("jmim.") and c not in RUNS
]
SCRIPTS = [c for c in ALL if any(w.startswith("launch/") for w in c[1])]


# Recipes that read a run, which is not there.
READING = ("lists=runs/W", "dit_latents_digits.py:autoencoder=")


def named(cases):
  return {
    "argvalues": cases,
    "ids": [f"{p}:{' '.join(c)[:60]}" for p, c in cases],
  }


def check_flags(words):
  """Flags of jmim.main: known, of a value they take; keys of the config."""
  given = [w.removeprefix("--") for w in words if w.startswith("--")]
  given = [g for g in given if g != "help"]  # absl's own
  for name, _, value in (g.partition("=") for g in given):
    if not name.startswith("config."):
      flag = flags.FLAGS[name]
      if value or not flag.boolean:
        flag.parser.parse(value)
  recipe = [g.partition("=")[2] for g in given if g.startswith("config=")]
  if recipe and any(words in recipe[0] for words in READING):
    return
  ours = recipe and recipe[0].partition(":")[0] in recipes.names()
  if ours or recipe and recipe[0].startswith("configs/"):  # no my_lab/
    keys = [g.removeprefix("config.") for g in given if "config." in g[:7]]
    spec = recipe[0] if ours else str(ROOT / recipe[0])
    config = configs.override(configs.load(spec), keys)
    validate.validate(config)


@pytest.mark.parametrize(("page", "words"), **named(RUNS))
def test_runs(page, words):
  check_flags(words[3:])


@pytest.mark.parametrize(("page", "words"), **named(TOOLS))
def test_tools(page, words):
  spec = importlib.util.find_spec(words[2])
  assert spec, words[2]
  origin = pathlib.Path(spec.origin)
  if origin.name == "__init__.py":
    origin = origin.with_name("__main__.py")
  text = origin.read_text()
  for name in re.findall(r"(\w+)\.parser\(", text):  # where its flags begin
    text += origin.with_name(f"{name}.py").read_text()
  for word in words[3:]:
    if word.startswith("--") and not word.startswith("--config."):
      name = word.partition("=")[0]  # of argparse, or of absl
      assert f'"{name}"' in text or f'"{name[2:]}"' in text, word


STUB = '#!/bin/sh\nprintf "%s\\n" "$@" >>"$CALLS"; echo "" >>"$CALLS"\n'


@pytest.mark.parametrize(("page", "words"), **named(SCRIPTS))
def test_scripts(page, words, tmp_path):
  """They start jmim.main with flags that it takes, or print what they would.

  Environment variables before a command are set; sbatch runs the script.
  """
  for name in ("python", "srun"):
    (tmp_path / name).write_text(STUB)
    (tmp_path / name).chmod(0o755)
  env = {
    "PATH": f"{tmp_path}:{os.environ['PATH']}",
    "CALLS": str(tmp_path / "calls"),
    "SLURM_SUBMIT_DIR": str(ROOT),
    "SLURM_JOB_ID": "1",
  }
  while "=" in words[0]:
    name, _, env[name] = words[0].partition("=")
    words = words[1:]
  if words[0] == "sbatch":
    words = [w for w in words[1:] if not w.startswith("--nodes=")]
  if "CONFIG" in words:
    return  # says where arguments go
  words = ["./" + words[0], *words[1:]]
  done = subprocess.run(
    words, cwd=ROOT, env=env, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  if "--dry" in words:
    assert done.stdout
    check_flags(words[words.index("--") + 1 :] if "--" in words else [])
    return
  started = (tmp_path / "calls").read_text().split("\n\n")[0].splitlines()
  check_flags(started[started.index("jmim.main") + 1 :])


def test_there_is_something_to_check():
  assert len(RUNS) > 10 and len(TOOLS) > 3 and len(SCRIPTS) > 8
  assert flags.FLAGS["mode"].value in main.MODES
