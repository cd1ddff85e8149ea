"""Attention in space and in time in turn, in the place of one over a clip."""

from collections.abc import Callable

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention


def make(
  rt: runtime.Runtime, frames: int, depth: int
) -> tuple[Callable[..., tuple[jax.Array, jax.Array]], jax.Array]:
  """A function (q, k, v, state) -> (output, state), and the layers' states.

  Layers 0, 2, .. see the tokens of their own frame, the others those of their
  own place in all frames. Parameters are those of attention over all.

  Args:
    rt: execution choices.
    frames: of a clip; tokens are in the order frame, place.
    depth: layers, and states.
  """

  def apart(inside, outside):
    def call(q, k, v):
      folded = (einops.rearrange(a, inside, t=frames) for a in (q, k, v))
      y = attention.attend(*folded, rt=rt)
      return einops.rearrange(y, outside, t=frames, b=len(q))

    return call

  space = apart("b h (t s) d -> (b t) h s d", "(b t) h s d -> b h (t s) d")
  time = apart("b h (t s) d -> (b s) h t d", "(b s) h t d -> b h (t s) d")

  def attend(q, k, v, turn):
    return jax.lax.cond(turn == 0, space, time, q, k, v), turn

  return attend, jnp.asarray(np.arange(depth) % 2)
