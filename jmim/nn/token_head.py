"""A small MLP that is a diffusion model of single tokens, given a vector each.

Li et al. 2024 (LTH14/mar@fe470ac, `SimpleMLPAdaLN`). Time and condition act by
adaLN-Zero. It knows no process: what it gives may be noise and variance, v, or
x0.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import stack

XAVIER = nn.initializers.xavier_uniform()


class Residual(nn.Module, kw_only=True):
  """x + gate MLP(LN(x) (1 + scale) + shift), all of the width of x."""

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: jax.Array, *, cond: jax.Array
  ) -> tuple[jax.Array, dict]:
    """[m, w] -> [m, w], and no taps; cond: [m, w], already through its SiLU."""
    width, rt = x.shape[-1], self.rt
    mods = dense.dense(
      rt, 3 * width, kernel_init=adaln.ZEROS, name="modulation"
    )
    shift, scale, gate = jnp.split(mods(cond), 3, axis=-1)
    y = norm.layer_norm(rt, "norm")(x) * (1 + scale) + shift
    y = dense.dense(rt, width, kernel_init=XAVIER, name="fc1")(y)
    y = dense.dense(rt, width, kernel_init=XAVIER, name="fc2")(nn.silu(y))
    return rt.shard(x + gate * y), {}


class TokenHead(nn.Module, kw_only=True):
  """Noisy tokens, times and conditions to what is predicted of each.

  Without noisy tokens it is a regression from the conditions.

  Attributes:
    width: of its layers.
    depth: residual blocks.
    out: numbers predicted of each token.
    rt: execution choices.
  """

  width: int
  depth: int
  out: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    z: jax.Array,
    x: jax.Array | None = None,
    t: jax.Array | None = None,
  ) -> jax.Array:
    """[m, out] float32.

    Args:
      z: [m, d] conditions.
      x: [m, c] noisy tokens; None: a regression.
      t: [m] times; needed with x.
    """
    rt, linear = self.rt, functools.partial(dense.dense, self.rt)
    cond = linear(self.width, kernel_init=XAVIER, name="cond_embed")(z)
    h = cond
    if x is not None:
      h = linear(self.width, kernel_init=XAVIER, name="embed")(x)
      embed = adaln.TimeEmbed(
        width=self.width, hidden=self.width, rt=rt, name="time_embed", many=True
      )
      cond = cond + embed(t)
    cond = nn.silu(rt.shard(cond))
    make = functools.partial(Residual, rt=rt, parent=None)
    blocks = stack.Stack(make, self.depth, rt, name="blocks")
    h, _ = blocks(rt.shard(h), cond=cond)
    mods = linear(2 * self.width, kernel_init=adaln.ZEROS, name="modulation")
    shift, scale = jnp.split(mods(cond), 2, axis=-1)
    h = norm.layer_norm(rt, "norm", affine=False)(h) * (1 + scale) + shift
    pred = linear(self.out, kernel_init=adaln.ZEROS, name="pred")(h)
    return pred.astype(jnp.float32)
