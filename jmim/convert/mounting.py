"""Weights that were laid over a host, laid over another of the same shape.

What is written is an export like any other, with the new host in its config
and the hash of that in its note; the own arrays are copied as they are.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from jmim.checkpoints import frozen
from jmim.checkpoints import identity
from jmim.checkpoints import models
from jmim.checkpoints import note
from jmim.checkpoints import store as checkpoint
from jmim.convert import exporting
from jmim.convert import files
from jmim.convert import importing
from jmim.core import discovery
from jmim.core import errors
from jmim.core import home
from jmim.core import tree as trees

Arrays = Mapping[str, np.ndarray]


def run(
  part: str | pathlib.Path,
  host: str,
  out: pathlib.Path,
  weights: str = "raw",
) -> list[str]:
  """Writes a folder that `jmim.load` reads.

  Args:
    part: a run of a method with a host, or an export of it.
    host: a run, or an .npz of its arrays.
    out: the folder.
    weights: "raw" or "ema", of a run.

  Returns:
    lines about what is on what.

  Raises:
    UserError: nothing there, a method without a host, or a host of another
      shape; nothing has been written.
  """
  arrays, about = read(home.expand(part, "--part"), weights)
  known = about["consts"]
  config = ml_collections.ConfigDict(about.pop("config"))
  discovery.check_stored(config, part)
  config, known = models.on_host(config, known, host)
  method = discovery.make(config.method)
  like = trees.named(importing.shapes(method))
  frozen.check(arrays, like, "--part", f"{part}")
  const = method.consts()[identity.HOST]
  tree = frozen.load(identity.HOST, const, config.data)
  about["consts"] = known | {identity.HOST: identity.digest(tree)}
  out.mkdir(parents=True, exist_ok=True)
  specs = {n: (tuple(x.shape), np.dtype(x.dtype)) for n, x in arrays.items()}
  files.write(out / exporting.WEIGHTS, specs, arrays.items())
  note.write(out, config, **about)
  own, whole = (_numbers(x) for x in (arrays, trees.named(tree)))
  return [
    f"host: {host}, sha256 {about['consts'][identity.HOST]}",
    f"own: {own:,} numbers, {own / whole:.2%} of the host's {whole:,}",
  ]


def read(path: pathlib.Path, weights: str) -> tuple[Arrays, dict[str, Any]]:
  """(own arrays, what a note says of them) of a run or an export.

  Args:
    path: of either.
    weights: "raw" or "ema", of a run.

  Raises:
    UserError: neither, or an export in the names of others.
  """
  if about := note.read(path):
    if about["family"]:
      raise errors.UserError(
        f"{path} is in the layout {about['family']}",
        "an export with --format=safetensors, or a run",
        "export it again",
        "--part",
      )
    return dict(files.read(path)), about
  if not (path / "checkpoints").is_dir():
    raise errors.UserError(
      f"{path}: no run and no export",
      "the workdir of a run, or a folder of --mode=export",
      "correct the path",
      "--part",
    )
  leaves = exporting.Leaves(path, weights)
  try:
    arrays = dict(leaves)
  finally:
    leaves.close()
  return arrays, {
    "config": checkpoint.read_config(path),
    "family": "",
    "step": leaves.step,
    "weights": weights,
    "consts": identity.read(path),
  }


def _numbers(arrays: Mapping[str, Any]) -> int:
  return sum(int(np.prod(x.shape)) for x in arrays.values())
