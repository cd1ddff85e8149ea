"""A source archive is whole: it installs and trains outside of a checkout."""

import os
import pathlib
import subprocess
import sys
import tarfile
import venv

import pytest
import test_own_images as own
from setuptools._distutils import filelist

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(*command, cwd):
  env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
  done = subprocess.run(
    command, cwd=cwd, env=env, text=True, capture_output=True
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


# Of a checkout only: what hosts of repositories and editors read.
_LEFT_OUT = (".ci/", ".git", "MANIFEST.in", "setup.py")


def tracked():
  """Files that git knows, or would take; none outside of a checkout."""
  listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
  files = run(*listed, cwd=ROOT).splitlines()
  return [n for n in files if (ROOT / n).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_the_manifest_takes_all_that_tests_read(monkeypatch):
  monkeypatch.chdir(ROOT)
  packed = filelist.FileList()
  packed.set_allfiles([f for f in tracked() if not f.startswith("jmim/")])
  for line in pathlib.Path("MANIFEST.in").read_text().splitlines():
    if line and not line.startswith("#"):
      packed.process_template_line(line)
  lacking = [f for f in packed.allfiles if f not in set(packed.files)]
  assert [f for f in lacking if not f.startswith(_LEFT_OUT)] == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
  """What git knows, in a path with a blank: stray files must not be needed."""
  folder = tmp_path_factory.mktemp("a path") / "a copy"
  for name in tracked():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes((ROOT / name).read_bytes())
  return folder


def environment(place):
  """Python of a new environment, which sees the packages of this one.

  Through a .pth file: only jmim itself is installed.
  """
  venv.create(place, with_pip=True)
  python = place / "bin" / "python"
  site = run(
    python, "-c", "import site; print(site.getsitepackages()[0])", cwd=place
  ).strip()
  theirs = next(p for p in sys.path if p.endswith("site-packages"))
  (pathlib.Path(site) / "outer.pth").write_text(theirs + "\n")
  return python


# pip fetches what pyproject.toml builds with, as it would for anybody: the
# setuptools that a new environment of Python 3.11 has is too old for it.
INSTALL = ("-m", "pip", "install", "-q", "--no-deps")


@pytest.mark.slow
def test_an_sdist_installs_and_works_elsewhere(copy, tmp_path):
  build = "import setuptools.build_meta as b; print(b.build_sdist('dist'))"
  archive = run(sys.executable, "-c", build, cwd=copy).splitlines()[-1]
  with tarfile.open(copy / "dist" / archive) as packed:
    names = {n.partition("/")[2] for n in packed.getnames()}
  assert {f for f in tracked() if not f.startswith(_LEFT_OUT)} <= names
  place = tmp_path / "env"
  python = environment(place)
  run(python, *INSTALL, copy / "dist" / archive, cwd=tmp_path)
  where = run(python, "-c", "import jmim; print(jmim.__file__)", cwd=tmp_path)
  assert str(place) in where
  jmim = place / "bin" / "jmim"
  assert "--workdir" in run(jmim, "--help", cwd=tmp_path)
  # Recipes are part of what is installed, and found from any folder.
  assert "\nmae_digits\n" in run(jmim, "--list", cwd=tmp_path)
  shown = run(jmim, "--help", "--config=mae_digits", cwd=tmp_path)
  assert "--config.method.mask_ratio=0.6" in shown
  assert f"in {place}" in run(jmim, "doctor", cwd=tmp_path)
  claims = run(python, "-m", "jmim.tools.claim", "--list", cwd=tmp_path)
  assert "umd_cifar10" in claims
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
  run(python, "-m", "jmim.report", "run", cwd=tmp_path)
  assert (tmp_path / "run" / "report.html").stat().st_size > 20_000


@pytest.mark.slow
def test_a_wheel_goes_from_images_to_exports_in_an_empty_folder(copy, tmp_path):
  python = environment(tmp_path / "env")
  wheels = tmp_path / "wheels"
  make = ("-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, copy)
  run(python, *make, cwd=tmp_path)
  run(python, *INSTALL, *wheels.glob("*.whl"), cwd=tmp_path)
  here, jmim = tmp_path / "empty", tmp_path / "env" / "bin" / "jmim"
  here.mkdir()
  own.images(here / "images")
  small = "size=32,variant=Ti/4,batch=16,steps=4"
  data = "--config.data.data_dir=images"
  told = run(
    jmim, f"--config=mae_folder:{small}", data, "--workdir=mine", cwd=here
  )
  assert "cat 27, dog 27" in told and "probe/accuracy" in told
  run(
    jmim,
    f"--config=finetune_folder:{small}",
    data,
    "--workdir=tuned",
    "--config.init_from.path=mine",
    cwd=here,
  )
  for form in ("timm", "hf"):
    words = ("--mode=export", "--workdir=tuned", f"--format={form}")
    run(jmim, *words, f"--out={form}", cwd=here)
    assert (here / form / "model.safetensors").is_file()
  # An export says what the run says.
  ask = (
    "import jmim, numpy as np\n"
    "models = [jmim.load(name) for name in ('tuned', 'timm', 'hf')]\n"
    "found = [m('logits', ['images/cat/000.jpg']) for m in models]\n"
    "print([m.classes for m in models], np.ptp(found, axis=0).max() < 1e-4)\n"
  )
  told = run(python, "-c", ask, cwd=here)
  assert told.count("cat") == 3 and told.split()[-1] == "True"


@pytest.mark.slow
def test_a_clone_beside_a_script_does_not_hide_an_editable_install(
  copy, tmp_path
):
  python = environment(tmp_path / "env")
  run(python, *INSTALL, "-e", copy, cwd=tmp_path)
  (tmp_path / "jmim" / "docs").mkdir(parents=True)  # a clone has no __init__
  (tmp_path / "script.py").write_text("import jmim; print(jmim.__file__)\n")
  where = run(python, "script.py", cwd=tmp_path).strip()
  assert pathlib.Path(where) == copy / "jmim" / "__init__.py"
  # The command finds modules of the current folder, and recipes of the clone.
  (tmp_path / "mine.py").write_text(
    "from jmim.methods.mim import mae\n\n\nclass Mine(mae.MAE):\n  pass\n"
  )
  (tmp_path / "recipe.py").write_text(
    "from jmim.core import config as configs\n\n\ndef get_config():\n"
    "  config = configs.load('mae_digits')\n"
    "  config.method.type = 'mine'\n  return config\n"
  )
  jmim = tmp_path / "env" / "bin" / "jmim"
  shown = run(jmim, "--mode=describe", "--config=recipe.py", cwd=tmp_path)
  assert "mine, batch 64" in shown
