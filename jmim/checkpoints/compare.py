"""Two sets of named arrays: in what they differ, name by name."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import errors


def shapes(arrays: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
  """Name -> [shape, dtype, ...] of a checkpoint as name -> shape."""
  return {
    n: jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype))
    for n, (shape, dtype, *_) in arrays.items()
  }


def differences(saved: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
  """Lines naming every leaf that is missing, unknown or of another kind.

  A float may become another float (float32 saved, bfloat16 here), and an
  integer another integer; any other change of dtype is a difference.

  Args:
    saved: name -> array or shape, of a checkpoint or a file.
    ours: the same, of the config.
  """
  lines = [f"missing: {n}" for n in ours if n not in saved]
  lines += [f"unknown: {n}" for n in saved if n not in ours]
  for name in ours:
    if name in saved:
      lines += _compare(name, saved[name], ours[name])
  return lines


def _compare(name: str, saved: Any, ours: Any) -> list[str]:
  """A line about one leaf, if it differs."""
  before, now = tuple(saved.shape), tuple(ours.shape)
  if before != now:
    return [f"shape of {name}: {before} saved, {now} wanted"]
  kinds = (jnp.floating, jnp.integer)
  alike = any(
    jnp.issubdtype(saved.dtype, k) and jnp.issubdtype(ours.dtype, k)
    for k in kinds
  )
  if saved.dtype != ours.dtype and not alike:
    return [f"dtype of {name}: {saved.dtype} saved, {ours.dtype} wanted"]
  return []


def another_model(where: Any, lines: Sequence[str]) -> errors.UserError:
  """The error for a checkpoint whose names or shapes are not ours."""
  return errors.UserError(
    f"{where} is of another model:{errors.listed(lines, most=12)}",
    "the names and shapes of this config",
    "use the config it was trained with, or another --workdir",
    "--workdir",
  )
