"""Loads the frozen networks (teachers, tokenizers) that a method reads."""

import hashlib
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import checkpoint
from jmim.core import errors
from jmim.core import method
from jmim.core import tree as trees


def load(name: str, const: method.Const) -> Any:
  """The tree of one `method.Const` from its .npz file, or from a run.

  Array names in the file are leaf names ("encoder/blocks/.../kernel"). The
  workdir of a run (a directory, with a checkpoint) has many networks: that one
  is taken which has all of the names ("main/encoder/blocks/.../kernel").

  Raises:
    UserError: no such file, another hash, other names or shapes.
  """
  path, key = pathlib.Path(const.path).expanduser(), "method (const path)"
  if const.path and path.is_dir() and not const.sha256:
    return _pick(name, path, jax.eval_shape(const.init, jax.random.key(0)))
  if not path.is_file():
    raise errors.UserError(
      f"{name}: no file {path}",
      "an .npz with the weights, or (without a hash) the workdir of a run",
      "give the method the path of existing weights", key,
    )  # fmt: skip
  found = hashlib.sha256(path.read_bytes()).hexdigest()
  if const.sha256 and found != const.sha256:
    raise errors.UserError(
      f"{name}: {path} has sha256 {found}", const.sha256,
      "fetch the right file, or change the hash if you mean this one", key,
    )  # fmt: skip
  with np.load(path, allow_pickle=False) as stored:
    saved = {n: stored[n] for n in stored.files}
  like = jax.eval_shape(const.init, jax.random.key(0))
  wanted = trees.named(like)
  wrong = [
    n
    for n in wanted.keys() | saved.keys()
    if n not in saved
    or n not in wanted
    or saved[n].shape != tuple(wanted[n].shape)
  ]
  if wrong:
    raise errors.UserError(
      f"{name}: {path} differs in {', '.join(sorted(wrong)[:8])}",
      f"{len(wanted)} arrays of the configured architecture",
      "use the weights of the configured architecture", key,
    )  # fmt: skip
  return trees.map_named(lambda n, s: jnp.asarray(saved[n], s.dtype), like)


def _pick(name: str, workdir: pathlib.Path, like: Any) -> Any:
  """The part of a run's newest parameters that has the names of `like`."""
  try:
    saved = checkpoint.read_section(workdir, "params")
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{name}: {e}", "the workdir of a run with a checkpoint",
      "finish that run first", "method (const path)",
    ) from e  # fmt: skip
  wanted = trees.named(like)
  first = next(iter(wanted))
  fits = lambda prefix: all(  # noqa: E731
    prefix + n in saved and saved[prefix + n].shape == tuple(x.shape)
    for n, x in wanted.items()
  )
  ends = [n for n in saved if n == first or n.endswith("/" + first)]
  found = [p for p in (n.removesuffix(first) for n in ends) if fits(p)]
  if len(found) != 1:
    raise errors.UserError(
      f"{name}: {workdir} has {len(found)} networks that fit",
      f"one with the {len(wanted)} arrays of the configured architecture",
      "use a run of the configured architecture", "method (const path)",
    )  # fmt: skip
  return trees.map_named(
    lambda n, s: jnp.asarray(saved[found[0] + n], s.dtype), like
  )


def save(path: str | pathlib.Path, tree: Any) -> str:
  """Writes a tree as `load` reads it; returns its sha256."""
  arrays = {n: np.asarray(x) for n, x in trees.named(tree).items()}
  np.savez(path, **arrays)
  return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
