"""Prepares the TFDS data sets that jmim ships, on first use.

One data set per module of jmim/data/builders, named like it; they need no
download.
"""

import contextlib
import importlib
import io
import logging
import os
import pathlib
import pkgutil
import tempfile
from collections.abc import Mapping

import tensorflow_datasets as tfds

from jmim.core import errors
from jmim.data import builders


def shipped() -> list[str]:
  """Names of the data sets."""
  return [module.name for module in pkgutil.iter_modules(builders.__path__)]


def prepare(base: str, parts: Mapping[str, str], root: pathlib.Path) -> str:
  """Writes a shipped data set into `root` unless it is there already.

  Args:
    base: name of the module in jmim/data/builders.
    parts: "config" (else the first one) and "version" (else that of the code)
      where the user gave them. Other versions may lie in `root`, but cannot be
      made.
    root: TFDS data directory, made if necessary.

  Returns:
    The full name. It has a version, so that no outdated data are read.
  """
  importlib.import_module(f"jmim.data.builders.{base}")
  configs = tfds.builder_cls(base).builder_configs
  config = parts.get("config")
  if config is not None and config not in configs:
    raise errors.UserError(
      f"config {config!r} of {base}",
      f"one of {', '.join(configs)}" if configs else "none: it has no configs",
      "name one of them after the slash",
      "data.name",
    )
  name = base + (f"/{config}" if config else "")
  builder = tfds.builder(name, data_dir=root)
  version = parts.get("version", str(builder.version))
  target = pathlib.Path(builder.data_dir)
  if version == str(builder.version) and not target.is_dir():
    logging.info("preparing %s in %s, once", name, root)
    _write(name, root, target)
  return f"{name}:{version}"


def _write(name: str, root: pathlib.Path, target: pathlib.Path) -> None:
  """Builds beside `target`, then renames: complete or not there at all."""
  try:
    root.mkdir(parents=True, exist_ok=True)
    _build_aside(name, root, target)
  except OSError as error:
    raise errors.UserError(
      f"{name} cannot be prepared in {root}: {error}",
      "a folder that can be written, with space left",
      'name another one, or "" for the cache',
      "data.data_dir",
    ) from error


def _build_aside(name: str, root: pathlib.Path, target: pathlib.Path) -> None:
  with tempfile.TemporaryDirectory(prefix=".preparing-", dir=root) as scratch:
    builder = tfds.builder(name, data_dir=scratch, file_format="array_record")
    # TFDS prints the scratch path as where the data are; errors still raise.
    mute = io.StringIO()
    with contextlib.redirect_stdout(mute), contextlib.redirect_stderr(mute):
      builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
          try_download_gcs=False,
          manual_dir=root,  # where a builder finds data sets it is made of
        )
      )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
      os.rename(builder.data_dir, target)
    except OSError:
      # Another process was first: it wrote the same.
      if not target.is_dir():
        raise
