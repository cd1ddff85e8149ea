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


def differences(
  saved: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[str]:
  """Lines naming every leaf that is missing, unknown or of another kind.

  A float may become another float (float32 saved, bfloat16 wanted), and an
  integer another integer; any other change of dtype is a difference.
  """
  lines = [f"not in the checkpoint: {n}" for n in wanted if n not in saved]
  lines += [f"only in the checkpoint: {n}" for n in saved if n not in wanted]
  for name in wanted:
    if name in saved:
      lines += _differs(name, saved[name], wanted[name])
  return lines


def _differs(name: str, saved: Any, wanted: Any) -> list[str]:
  if tuple(saved.shape) != tuple(wanted.shape):
    ours, theirs = tuple(wanted.shape), tuple(saved.shape)
    return [f"shape of {name}: {theirs} saved, {ours} wanted"]
  kinds = (jnp.floating, jnp.integer)
  alike = any(
    jnp.issubdtype(saved.dtype, k) and jnp.issubdtype(wanted.dtype, k)
    for k in kinds
  )
  if saved.dtype != wanted.dtype and not alike:
    return [f"dtype of {name}: {saved.dtype} saved, {wanted.dtype} wanted"]
  return []


def another_model(where: Any, lines: Sequence[str]) -> errors.UserError:
  """The error for a checkpoint whose names or shapes are not ours."""
  return errors.UserError(
    f"{where} is of another model:{errors.listed(lines, most=12)}",
    "the names and shapes of this config",
    "use the config it was trained with, or another --workdir",
    "--workdir",
  )
