"""The residual block of the UNets, and what it can be told.

Rombach et al. 2022 (CompVis/latent-diffusion@a506df5) and Dhariwal and Nichol
2021: a time that is added, or a scale and shift; a code as a second scale and
shift: Zhang et al. 2022 (PDAE), as a scale alone: Preechakul et al. 2022
(Diff-AE). Maps NHWC.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv

# Form -> maps of the block's width that it is made into.
FORMS = {"added": 1, "scale_shift": 2, "scale": 1}


class Modulation(NamedTuple):
  """What a residual block is told.

  Attributes:
    name: of its parameters in each block.
    value: [b, e], through its SiLU; or maps [b, h, w, e] alike, one of each
      side that a block has inside, of which each block reads its own.
    form: "added" before the second norm; after it "scale_shift", h (1 + scale)
      + shift, or "scale", h (1 + scale).
    zero: what it is made into starts at 0.
  """

  name: str
  value: jax.Array | Sequence[jax.Array]
  form: str = "scale_shift"
  zero: bool = False


class ResBlock(nn.Module, kw_only=True):
  """GN SiLU conv, + time, GN SiLU dropout conv; 1 x 1 skip if widths differ.

  Attributes:
    width: channels of the output.
    dropout: rate; needs the rng "dropout" where it is not 0.
    groups: of the norms; with one channel each, a time that is only added
      would be normalised away.
    rt: execution choices.
    resample: changes the side on the way, of the input too: "half" or "twice"
      of `nn.conv`; "": not.
    eps: of the norms.
    single: it ends behind the first convolution, and is told nothing (the
      encoder of Diff-AE).
  """

  width: int
  dropout: float = 0.0
  groups: int = 32
  rt: runtime.Runtime = runtime.Runtime()
  resample: str = ""
  eps: float = 1e-5
  single: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, told: Sequence[Modulation]) -> jax.Array:
    """One map to the next.

    Args:
      x: [b, h, w, c].
      told: modulations, in their order.

    Returns:
      [b, h, w, width]; another side if it is resampled.

    Raises:
      ValueError: a form that is not known, no map of this side, or anything
        told of a block that ends before.
    """
    rt, width = self.rt, self.width
    if self.single and told:
      raise ValueError(f"a single convolution is told {[m.name for m in told]}")
    y = nn.silu(conv.group_norm(rt, self.groups, "norm1", self.eps)(x))
    if self.resample:
      x, y = (getattr(conv, self.resample)(a) for a in (x, y))
    y = conv.conv3(rt, width, "conv1")(y)
    if not self.single:
      y = self._second(y, told)
    if x.shape[-1] != width:
      x = nn.Conv(width, (1, 1), dtype=rt.dtype, name="skip")(x)
    return rt.shard(x + y)

  def _second(self, y, told):
    """What it is told, norm, SiLU, dropout and convolution."""
    rt = self.rt
    parts = [(m.form, self._made(m, y.shape[1:3])) for m in told]
    for form, made in parts:
      if form == "added":
        y = y + made[0]
    y = conv.group_norm(rt, self.groups, "norm2", self.eps)(y)
    for form, made in parts:
      if form != "added":
        y = y * (1 + made[0])
      if form == "scale_shift":
        y = y + made[1]
    y = nn.Dropout(self.dropout, deterministic=not self.dropout)(nn.silu(y))
    return conv.conv3(rt, self.width, "conv2", zero=True)(y)

  def _made(self, told, side):
    """Scale and shift, or one of them, [b, 1 or h, 1 or w, width] each."""
    if told.form not in FORMS:
      raise ValueError(f"modulation {told.form!r}: known are {[*FORMS]}")
    wide, rt = FORMS[told.form] * self.width, self.rt
    if not isinstance(told.value, Sequence):
      start = {"kernel_init": nn.initializers.zeros} if told.zero else {}
      layer = nn.Dense(wide, dtype=rt.dtype, name=told.name, **start)
      made = layer(told.value)[:, None, None]
    else:
      fits = [m for m in told.value if m.shape[1:3] == side]
      if not fits:
        sides = [m.shape[1:3] for m in told.value]
        raise ValueError(f"modulation {told.name!r} of {sides}, none of {side}")
      made = conv.conv3(rt, wide, told.name, zero=told.zero)(fits[0])
    return jnp.split(made, FORMS[told.form], axis=-1)
