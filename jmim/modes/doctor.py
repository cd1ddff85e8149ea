"""`jmim doctor`: what is installed, what is used, what is missing."""

import importlib.util
import os
import pathlib
import platform
import shutil
import sys

import jax

from jmim.core import home
from jmim.core import recipes
from jmim.core import version
from jmim.core.settings import hardware

# Where a driver shows that there is an accelerator -> backend of JAX, extra.
_DRIVERS = {
  "/dev/nvidiactl": ("gpu", "gpu"),
  "/dev/accel0": ("tpu", "tpu"),
  "/dev/vfio/0": ("tpu", "tpu"),
}
# Module -> the extra that brings it, and what for.
_EXTRAS = {
  "libtpu": ("aot", "dry runs for TPU pods"),
  "turbojpeg": ("fast", "data.decoder=turbo"),
  "pyarrow": ("parquet", "data.name=parquet"),
  "tokenizers": ("text", "tokenizers of texts"),
  "huggingface_hub": ("hub", "--push"),
  "wandb": ("wandb", "Weights & Biases"),
  "pytest": ("test", "the tests"),
}
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
DATA = "~/.cache/jmim"
_LABEL = 12


def run(workdir: pathlib.Path | None = None) -> None:
  """Prints the screen.

  Args:
    workdir: whose disk is looked at; None: the current folder.
  """
  print("\n".join(f"{name:<{_LABEL}}{text}" for name, text in rows(workdir)))


def rows(workdir: pathlib.Path | None = None) -> list[tuple[str, str]]:
  """(label, text) of each line; starts the backend of JAX."""
  return [
    ("jmim", f"{version.words()}, {_PACKAGE}"),
    ("recipes", f"{len(recipes.names())} in {recipes.folder()}"),
    ("python", f"{platform.python_version()}, {sys.executable}"),
    ("libraries", ", ".join(map(" ".join, version.libraries().items()))),
    *_devices(),
    *((f"[{e}]", text) for e, text in extras().items()),
    ("disk", free(workdir or pathlib.Path.cwd())),
    ("data", _cache(DATA)),
    ("programs", _cache(_programs())),
  ]


def _devices() -> list[tuple[str, str]]:
  """What JAX computes with, and what it leaves aside."""
  devices, backend = jax.devices(), jax.default_backend()
  kind = devices[0].device_kind
  lines = [("devices", f"{len(devices)} x {kind} ({backend})")]
  asked = os.environ.get("JAX_PLATFORMS", "")
  if asked:
    lines.append(("", f"JAX_PLATFORMS={asked} chooses them"))
  return [*lines, *(("unused", text) for text in unused(backend))]


def unused(backend: str, drivers: dict = _DRIVERS) -> list[str]:
  """Accelerators that the system has and JAX does not use, with the remedy.

  Args:
    backend: of JAX.
    drivers: file of a driver -> (its backend, the extra that is needed).
  """
  found = {of for file, of in drivers.items() if pathlib.Path(file).exists()}
  return [
    f"there seems to be a {name.upper()} that JAX does not use: "
    f"pip install 'jmim[{extra}]', and unset JAX_PLATFORMS"
    for name, extra in sorted(found)
    if name != backend
  ]


def extras() -> dict[str, str]:
  """Extra -> whether what it brings is there."""
  return {
    extra: f"{'installed' if _has(module) else 'not installed'}: {purpose}"
    for module, (extra, purpose) in _EXTRAS.items()
  }


def _has(module: str) -> bool:
  return importlib.util.find_spec(module) is not None


def free(folder: pathlib.Path) -> str:
  """Free space of the disk that a folder is on, or will be."""
  there = next(p for p in [folder, *folder.absolute().parents] if p.exists())
  return f"{shutil.disk_usage(there).free / 1e9:.1f} GB free in {folder}"


def _programs() -> str:
  """The folder of compiled programs."""
  default = hardware.Hardware().compile_cache
  return os.environ.get("JAX_COMPILATION_CACHE_DIR", default)


def _cache(path: str) -> str:
  """A folder, and how much is in it."""
  folder = home.expand(path, None)
  if not folder.is_dir():
    return f"{folder}, not there yet"
  total = sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file())
  return f"{folder}, {total / 1e6:,.0f} MB"
