"""Loads the frozen networks (teachers, tokenizers) that a method reads."""

import hashlib
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import compare
from jmim.checkpoints import identity
from jmim.checkpoints import npz
from jmim.checkpoints import store
from jmim.checkpoints import weights
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
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
  path = home.expand(const.path, const.key)
  like = jax.eval_shape(const.init, jax.random.key(0))
  digests = []
  if const.path and path.is_dir():
    data = data if data and const.images else {}
    _check_agrees(f"{name}: {path}", path, const, data)
    tree = _pick(name, path, like, const)
  else:
    tree, digest = _of_file(name, const, like)
    digests.append(digest)
  if const.sha256 and const.sha256 not in digests:
    digests.append(identity.digest(tree))
    _check_hash(f"{name}: {path}", const.sha256, digests, const.key)
  return tree


def _of_file(name: str, const: method.Const, like: Any) -> tuple[Any, str]:
  """(the tree of an .npz, hash of the file)."""
  expected = "an .npz of weights, or the workdir of a run"
  path, key = const.path, const.key
  saved, digest = read(name, path, sha256=None, key=key, expected=expected)
  check(saved, trees.named(like), key, f"{name}: {path}")
  tree = trees.map_named(lambda n, s: jnp.asarray(saved[n], s.dtype), like)
  return tree, digest


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
  if sha256:
    _check_hash(f"{name}: {file}", sha256, [digest], key)
  return npz.read(file, key), digest


def _check_hash(what: str, wanted: str, found: Sequence[str], key: str) -> None:
  """Raises UserError unless one of the hashes is that wanted."""
  if wanted not in found:
    raise errors.UserError(
      f"{what} has sha256 {', its arrays '.join(found)}",
      wanted,
      "fetch the right file, or change the hash if you mean this one",
      key,
    )


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
  const: method.Const,
  data: Mapping[str, Any],
) -> None:
  """Raises UserError if a run says that its network is used otherwise."""
  try:
    run = store.read_config(workdir)
  except FileNotFoundError:
    return
  told = lambda field, value: field in const.exact or _told(value)
  ours = {
    f"data.{key}": (f"data.{key}", data[key])
    for key in ("mean", "std")
    if key in data
  } | {field: x for field, x in const.agrees.items() if told(field, x[1])}
  section = run.get("method", {})
  theirs = configs.flat(section) | dict(const.implied(section))
  theirs |= {f"data.{key}": value for key, value in run.get("data", {}).items()}
  for field, (key, mine) in ours.items():
    other = theirs.get(field)
    if other is not None and told(field, other) and not _same(mine, other):
      raise errors.UserError(
        f"{what} was trained with {field}={other}, and {key}={mine}",
        "the same: its weights mean nothing else",
        f"set {key}={other}, or name another run",
        key,
      )


def _told(value: Any) -> bool:
  """Whether a field says something: False does, 0, "" and () do not."""
  return isinstance(value, bool) or bool(value)


def _same(mine: Any, other: Any) -> bool:
  """Whether two words are equal, or two (lists of) numbers nearly."""
  if isinstance(mine, str) or isinstance(other, str):
    return mine == other
  return np.shape(mine) == np.shape(other) and np.allclose(mine, other)


def _pick(
  name: str, workdir: pathlib.Path, like: Any, const: method.Const
) -> Any:
  """The part of a run's newest weights that has the names of `like`."""
  which = const.weights
  try:
    saved = weights.read_section(workdir, weights.SECTIONS[which])
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{name}: {e}",
      f"the workdir of a run with a checkpoint that has {which} weights",
      "finish that run first, or name another",
      const.key,
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
      const.key,
    )
  under = [n for n in saved if n.startswith(prefixes[0])]
  more = sorted(n for n in under if n.removeprefix(prefixes[0]) not in shapes)
  if const.whole and more:
    raise errors.UserError(
      f"{name}: {workdir} also has {', '.join(more[:4])}, which nothing here "
      "would read",
      f"the {len(shapes)} arrays of the configured architecture alone",
      "use a run of the configured architecture",
      const.key,
    )
  return trees.map_named(
    lambda n, s: jnp.asarray(saved[prefixes[0] + n], s.dtype), like
  )


def save(path: str | pathlib.Path, tree: Any) -> str:
  """Writes a tree as `load` reads it; returns its sha256.

  Raises:
    OSError: it could not be written; a file that was there stays as it was.
  """
  arrays = {n: np.asarray(x) for n, x in trees.named(tree).items()}
  path = pathlib.Path(path)
  with files.writing(path) as file:
    np.savez(file, **arrays)
  return hashlib.sha256(path.read_bytes()).hexdigest()
