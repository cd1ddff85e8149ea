"""A folder or file of weights, whatever it is, as a frozen model.

A run, an export, a folder of the Hugging Face hub, or a file in one of these:
what `jmim.load` takes.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import ml_collections

from jmim.checkpoints import classes
from jmim.checkpoints import compare
from jmim.checkpoints import models
from jmim.checkpoints import note
from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.convert import plan as plans
from jmim.core import discovery
from jmim.core import errors
from jmim.core import home
from jmim.core import tree as trees

Opened = tuple[models.Model, Sequence[str]]


def model(
  path: str | pathlib.Path, weights: str = "raw", host: str | None = None
) -> Opened:
  """(the model, outputs that it lacks the weights of); see `hub.load`."""
  path = home.expand(path, "path")
  if not path.exists():
    raise errors.UserError(
      f"{path}: no such file or folder",
      "a workdir, an export, a folder of the hub or a file of weights",
      "correct the path",
      "path",
    )
  folder = path if path.is_dir() else path.parent
  if (folder / "checkpoints").is_dir():
    return models.of_run(folder, weights, host=host), ()
  if exported := note.read(folder):
    config, known = exported["config"], exported["consts"]
    models.check_method(config, folder, "path")
    _check_weights(path, weights, exported["weights"])
    if host:
      config, known = models.on_host(config, known, host)
    if not exported["family"]:
      opened, lacks = _plain(path, config, known)
    else:
      opened, lacks = _foreign(path, exported["family"], config, known)
    names = classes.of(exported)
    return dataclasses.replace(opened, classes=names), lacks
  _check_weights(path, weights, "raw")
  name, config = importing.resolve("auto", str(path), None)
  if host:
    config, _ = models.on_host(config, {}, host)
  return _foreign(path, name, config)


def _check_weights(path: pathlib.Path, asked: str, there: str) -> None:
  """Raises UserError where others than the only weights are asked for.

  "raw" is the default and takes what is there.
  """
  if asked not in ("raw", there):
    raise errors.UserError(
      f"weights={asked!r} of {path}",
      f"{there!r}, which is what it holds",
      "load the run, or export it with --weights=ema",
      "weights",
    )


def _plain(
  path: pathlib.Path,
  config: ml_collections.ConfigDict,
  known: Mapping[str, str],
) -> Opened:
  """A file with names of jmim."""
  stored = files.read(path)
  like = trees.named(importing.shapes(discovery.make(config.method)))
  wrong = compare.differences({n: stored.entries[n] for n in stored}, like)
  if wrong:
    raise errors.UserError(
      f"{path}: " + "; ".join(wrong[:8]),
      "the arrays of its config",
      "export the run again",
      "path",
    )
  return models.of_arrays(config, dict(stored), known, path), ()


def _beside(path: pathlib.Path, like: Mapping[str, Any]) -> dict[str, Any]:
  """What an export keeps for want of a place in its layout, by our names."""
  file = (path if path.is_dir() else path.parent) / files.BESIDE
  if not file.is_file():
    return {}
  stored = files.read(file)
  expected = {n: x for n, x in like.items() if n in stored}
  wrong = compare.differences({n: stored.entries[n] for n in stored}, expected)
  if wrong:
    raise errors.UserError(
      f"{file}: " + "; ".join(wrong[:8]),
      "arrays of its config",
      "export the run again",
      "path",
    )
  return dict(stored)


def _foreign(
  path: pathlib.Path,
  name: str,
  config: ml_collections.ConfigDict,
  known: Mapping[str, str] | None = None,
) -> Opened:
  """The layout of a family; what it lacks is not offered."""
  method, family = discovery.make(config.method), families.find(name)
  like = importing.shapes(method)
  plan = plans.make(family, method, files.read(path), like)
  arrays = importing.load(plan, method, like, config)
  arrays |= _beside(path, trees.named(like)) if known is not None else {}
  parts = {n.split("/")[2] for n in plan.fresh}
  outputs = {"head": ["logits"], "decoder": ["reconstruct"]}
  withheld = [n for part in parts for n in outputs.get(part, [])]
  return models.of_arrays(config, arrays, known, path), withheld
