# The first code cell of every notebook: finds the checkout this notebook lies
# in, or clones it, and installs jmim where it is missing. Colab: give the
# address of the repository you opened this from.
REPOSITORY = ""  # @param {type:"string"}

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

here = pathlib.Path.cwd()
found = [p for p in (here, *here.parents) if (p / "jmim/main.py").is_file()]
if not found:
  assert REPOSITORY, "not in a checkout: set REPOSITORY above"
  clone = ["git", "clone", "-q", "--depth=1", REPOSITORY, "jmim_checkout"]
  subprocess.run(clone, check=True)
  found = [here / "jmim_checkout"]
os.chdir(found[0])
if not all(map(importlib.util.find_spec, ("flax", "grain", "rich", "orbax"))):
  tpu = os.path.exists("/dev/accel0") or os.path.exists("/dev/vfio/0")
  extra = "[tpu]" if tpu else "[gpu]" if shutil.which("nvidia-smi") else ""
  pip = [sys.executable, "-m", "pip", "install", "-q", "-e", f".{extra}"]
  subprocess.run(pip, check=True)
sys.path.insert(0, os.getcwd())
os.environ.update(TERM="dumb", COLUMNS="100")  # plain text below cells
JMIM = f"{sys.executable} -m jmim.main"
