"""Which code is running."""

import functools
import hashlib
import importlib.metadata
import pathlib
import subprocess
import sys

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@functools.cache  # that of the code which is running, not of a later edit
def git_id() -> str:
  """Commit of the source tree, "-dirty" if changed; "" outside a checkout."""
  root = _PACKAGE.parent
  if not (root / ".git").exists():
    return ""
  command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
  try:
    done = subprocess.run(command, capture_output=True, check=False)
  except OSError:  # git is not here
    return ""
  return done.stdout.decode().strip()


def words() -> str:
  """Version of jmim, and the commit in a checkout: "jmim 0.1.0 (1a2b3c4)"."""
  commit = git_id()
  package = sys.modules["jmim"]  # an import would be of the whole package
  return f"jmim {package.__version__}" + (f" ({commit})" if commit else "")


def code_hash() -> str:
  """Hash of the package's own files: equal on hosts that run the same code."""
  total = hashlib.sha256()
  for path in sorted(_PACKAGE.rglob("*.py")):
    total.update(str(path.relative_to(_PACKAGE)).encode())
    total.update(path.read_bytes())
  return total.hexdigest()[:16]


def libraries() -> dict[str, str]:
  """Package -> version of what a step is made with and saved by."""
  return {name: importlib.metadata.version(name) for name in _LIBRARIES}
