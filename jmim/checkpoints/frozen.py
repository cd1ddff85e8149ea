"""Loads the frozen networks (teachers, tokenizers) that a method reads."""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import compare
from jmim.checkpoints import npz
from jmim.checkpoints import store
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import home
from jmim.core import method
from jmim.core import tree as trees


def load(
  name: str, const: method.Const, data: Mapping[str, Any] | None = None
) -> Any:
  """The tree of one `method.Const` from its .npz file, or from a run.

  Array names in the file are leaf names ("encoder/blocks/.../kernel"). The
  workdir of a run (a directory, with a checkpoint) has many networks: that one
  is taken which has all of the names ("main/encoder/blocks/.../kernel").

  Args:
    name: of the network, for messages.
    const: what is wanted.
    data: section `data` of the config that wants it; None: not known.

  Raises:
    UserError: no such file, another hash, other names or shapes, or a run on
      images normalised otherwise.
  """
  key = "method (const path)"
  path = home.expand(const.path, key)
  like = jax.eval_shape(const.init, jax.random.key(0))
  if const.path and path.is_dir() and not const.sha256:
    _check_agrees(f"{name}: {path}", path, const.agrees, data or {})
    return _pick(name, path, like)
  saved, _ = read(
    name,
    const.path,
    sha256=const.sha256,
    key=key,
    expected="an .npz of weights, or (without a hash) the workdir of a run",
  )
  check(saved, trees.named(like), key, f"{name}: {path}")
  return trees.map_named(lambda n, s: jnp.asarray(saved[n], s.dtype), like)


def load_all(
  consts: Mapping[str, method.Const], data: Mapping[str, Any] | None = None
) -> dict[str, method.Tree]:
  """Name -> tree of the frozen networks of a method; see `load`."""
  return {name: load(name, const, data) for name, const in consts.items()}


def read(
  name: str, path: str, sha256: str | None, key: str, expected: str
) -> tuple[dict[str, np.ndarray], str]:
  """The arrays of an .npz file, and its sha256.

  Args:
    name: of the network, for messages.
    path: of the file.
    sha256: that it must have; None or "": any.
    key: config key of the path, for messages.
    expected: what the file should be, for messages.

  Raises:
    UserError: no such file, another hash, or as `npz.read`.
  """
  file = home.expand(path, key)
  if not file.is_file():
    raise errors.UserError(
      f"{name}: no file {file}",
      expected,
      "give the path of existing weights",
      key,
    )
  digest = hashlib.sha256(file.read_bytes()).hexdigest()
  if sha256 and digest != sha256:
    raise errors.UserError(
      f"{name}: {file} has sha256 {digest}",
      sha256,
      "fetch the right file, or change the hash if you mean this one",
      key,
    )
  return npz.read(file, key), digest


def check(
  arrays: Mapping[str, Any], like: Mapping[str, Any], key: str, where: str
) -> None:
  """Raises UserError unless arrays have these names and shapes.

  Args:
    arrays: name -> array.
    like: name -> array or shape.
    key: config key of the file, for messages.
    where: they come from, for messages.
  """
  if lines := compare.differences(arrays, like):
    raise errors.UserError(
      f"{where} differs; " + "; ".join(lines[:8]),
      f"{len(like)} arrays of the configured architecture",
      "use the weights of the configured architecture",
      key,
    )


def _check_agrees(
  what: str,
  workdir: pathlib.Path,
  agrees: Mapping[str, tuple[str, Any]],
  data: Mapping[str, Any],
) -> None:
  """Raises UserError if a run says that its network is used otherwise."""
  try:
    run = store.read_config(workdir)
  except FileNotFoundError:
    return
  ours = {
    f"data.{key}": (f"data.{key}", data[key])
    for key in ("mean", "std")
    if key in data
  } | {field: entry for field, entry in agrees.items() if entry[1]}
  theirs = run.get("method", {}) | {
    f"data.{key}": value for key, value in run.get("data", {}).items()
  }
  wanted = {
    field: (key, value, theirs.get(field) or value)
    for field, (key, value) in ours.items()
  }
  for field, (key, mine, other) in wanted.items():
    if np.shape(mine) != np.shape(other) or not np.allclose(mine, other):
      raise errors.UserError(
        f"{what} was trained with {field}={other}, and {key}={mine}",
        "the same: its weights mean nothing else",
        f"set {key}={other}",
        key,
      )


def _pick(name: str, workdir: pathlib.Path, like: Any) -> Any:
  """The part of a run's newest parameters that has the names of `like`."""
  try:
    saved = weights.read_section(workdir, "params")
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{name}: {e}",
      "the workdir of a run with a checkpoint",
      "finish that run first",
      "method (const path)",
    ) from e
  shapes = trees.named(like)
  first = next(iter(shapes))
  fits = lambda prefix: all(
    prefix + n in saved and saved[prefix + n].shape == tuple(x.shape)
    for n, x in shapes.items()
  )
  ends = [n for n in saved if n == first or n.endswith("/" + first)]
  prefixes = [p for p in (n.removesuffix(first) for n in ends) if fits(p)]
  if len(prefixes) != 1:
    raise errors.UserError(
      f"{name}: {workdir} has {len(prefixes)} networks that fit",
      f"one with the {len(shapes)} arrays of the configured architecture",
      "use a run of the configured architecture",
      "method (const path)",
    )
  return trees.map_named(
    lambda n, s: jnp.asarray(saved[prefixes[0] + n], s.dtype), like
  )


def save(path: str | pathlib.Path, tree: Any) -> str:
  """Writes a tree as `load` reads it; returns its sha256."""
  arrays = {n: np.asarray(x) for n, x in trees.named(tree).items()}
  np.savez(path, **arrays)
  return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
