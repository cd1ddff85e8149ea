"""A source archive is whole: it installs and trains outside of a checkout."""

import os
import pathlib
import subprocess
import sys
import tarfile
import venv

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(*command, cwd):
  env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
  done = subprocess.run(
    command, cwd=cwd, env=env, text=True, capture_output=True
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.mark.slow
def test_an_sdist_installs_and_works_elsewhere(tmp_path):
  # Only what git knows: stray files of the checkout must not be needed.
  listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
  files = run(*listed, cwd=ROOT).splitlines()
  copy = tmp_path / "copy"
  for name in files:
    if (ROOT / name).is_file():
      (copy / name).parent.mkdir(parents=True, exist_ok=True)
      (copy / name).write_bytes((ROOT / name).read_bytes())
  build = "import setuptools.build_meta as b; print(b.build_sdist('dist'))"
  archive = run(sys.executable, "-c", build, cwd=copy).splitlines()[-1]
  with tarfile.open(copy / "dist" / archive) as packed:
    names = {n.partition("/")[2] for n in packed.getnames()}
  assert {
    "jmim/report/report.js",
    "configs/mae_digits.py",
    "README.md",
  } <= names
  place = tmp_path / "env"
  # The packages of this Python are seen through a .pth file: only jmim itself
  # is installed.
  venv.create(place, with_pip=True)
  python = place / "bin" / "python"
  site = run(
    python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path
  ).strip()
  theirs = next(p for p in sys.path if p.endswith("site-packages"))
  (pathlib.Path(site) / "outer.pth").write_text(theirs + "\n")
  # pip fetches what pyproject.toml builds with, as it would for anybody: the
  # setuptools that a new environment of Python 3.11 has is too old for it.
  install = ("-m", "pip", "install", "-q", "--no-deps")
  run(python, *install, copy / "dist" / archive, cwd=tmp_path)
  where = run(python, "-c", "import jmim; print(jmim.__file__)", cwd=tmp_path)
  assert str(place) in where
  assert "--workdir" in run(place / "bin" / "jmim", "--help", cwd=tmp_path)
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
  run(python, "-m", "jmim.report", "run", cwd=tmp_path)
  assert (tmp_path / "run" / "report.html").stat().st_size > 20_000
