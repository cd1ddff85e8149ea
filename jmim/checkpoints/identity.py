"""Which frozen networks a run was trained on: consts.json.

    name -> sha256 of the names, types, shapes and numbers of its arrays

The same network has the same hash as a run, as an .npz or mounted elsewhere.
Written at each start of a run that has such networks, and exported with its
weights: they mean nothing on another network, even of the same shape.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.core import method as methods
from jmim.core import tree as trees

NAME = "consts.json"
HOST = "host"  # the network that weights are laid over, see parts/host.py

Digests = dict[str, str]


def digest(tree: Any) -> str:
  """sha256 of a tree of arrays, leaf by leaf in the order of their names."""
  found = hashlib.sha256()
  for name, leaf in sorted(trees.named(tree).items()):
    array = np.ascontiguousarray(leaf)
    found.update(f"{name} {array.dtype} {array.shape}\n".encode())
    found.update(array.data)
  return found.hexdigest()


def of_weights(weights: methods.Weights) -> str:
  """Hash of all arrays of a model, its frozen networks included."""
  arrays = jax.tree.map(np.asarray, weights)
  names = [f.name for f in dataclasses.fields(weights)]
  return digest({name: getattr(arrays, name) for name in names})


def of(consts: Mapping[str, Any]) -> Digests:
  """Name -> hash of the frozen networks of a method."""
  return {name: digest(tree) for name, tree in consts.items()}


def write(workdir: pathlib.Path, consts: Mapping[str, Any]) -> None:
  """Writes consts.json, if there are any; raises OSError if it cannot."""
  if consts:
    text = json.dumps(of(consts), indent=2)
    files.replace(workdir / NAME, text + "\n")


def read(workdir: pathlib.Path) -> Digests:
  """Name -> hash of the networks that a run was trained on; {}: not known."""
  return files.read_json(workdir / NAME, {}, lambda x: isinstance(x, dict))


def check(
  consts: Mapping[str, Any],
  known: Digests,
  where: Any,
  wanted: Mapping[str, methods.Const],
) -> None:
  """Raises UserError for a network that weights were not trained on.

  Args:
    consts: frozen networks by name.
    known: hashes that they must have; a name that is not in it has any.
    where: the weights are, for messages.
    wanted: what the method says of them, by name.
  """
  for name in known.keys() & consts.keys():
    found = digest(consts[name])
    if found != known[name]:
      fix = "name the network that it was trained on"
      if name == HOST:
        fix += "; python -m jmim.tools.mount puts it on another host"
      raise errors.UserError(
        f"{where} with another {name}, whose arrays have sha256 {found}",
        f"{known[name]}, which its weights were trained on",
        fix,
        wanted[name].key,
      )
