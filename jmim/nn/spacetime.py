"""Blocks of transformers on clips: space, then time, told by one embedding.

A block of Open-Sora 1.0's STDiT, with what VITON-DiT (Zheng et al. 2024) adds:

    (s1, c1, g1, s2, c2, g2) = table + e                      adaLN-single
    h = LN(x) (1 + c1) + s1
    x = x + g1 (SA(h) + gamma CA(h, told))                    within a frame
    x = x + g1 TA(x + places)                                 along the frames
    x = x + Cross(LN x, context)
    x = x + g2 MLP(LN(x) (1 + c2) + s2)

e is one vector of the time for all blocks, the table each block's own. gamma,
and the outputs of TA and Cross, begin at 0: a network of images that is given
attention along time, or tokens to be told by, is what it was. A frame alone has
no time, and TA is left out. Ours: Open-Sora adds places in the first block
alone, and has no LN before Cross. Letters: b batch, t frames, n tokens of a
frame, l = t n, w width.
"""

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import told_block

ZEROS = nn.initializers.zeros
Some = jax.Array | None


class TimeAttention(nn.Module, kw_only=True):
  """Attention along the frames at each place; it begins by giving 0.

  Attributes:
    heads: attention heads.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, frames: int) -> jax.Array:
    """[b, t n, w], frame by frame -> the same; frames: t."""
    places = jnp.asarray(
      posemb.sincos_1d(range(frames), x.shape[-1]), self.rt.dtype
    )
    y = einops.rearrange(x, "b (t n) w -> (b n) t w", t=frames)
    y = self.rt.shard(y + places)
    attend = attention.SelfAttention(
      heads=self.heads, rt=self.rt, proj_init=ZEROS, name="attn"
    )
    y, _ = attend(y)
    return einops.rearrange(y, "(b n) t w -> b (t n) w", b=len(x))


class Fused(nn.Module, kw_only=True):
  """gamma CA(h, told), of examples that are told; gamma begins at 0.

  Attributes:
    heads: attention heads.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, h: jax.Array, told: Some, keep: Some) -> jax.Array:
    """[b, l, w] -> [b, l, w].

    Args:
      h: tokens that ask.
      told: [b, m, w]; None while parameters are made, which a stack does
        without one.
      keep: [b], 0 where an example is told nothing; None: all are.
    """
    told = h if told is None else told
    gamma = self.param("gamma", ZEROS, ())
    gate = gamma if keep is None else gamma * keep[:, None, None]
    cross = attention.CrossAttention(heads=self.heads, rt=self.rt, name="attn")
    return gate.astype(h.dtype) * cross(h, told.astype(h.dtype))


class Block(nn.Module, kw_only=True):
  """The block above; what of it there is, its attributes say.

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    temporal: it has TA.
    fused: it has CA.
    context: it has Cross.
    branch: its output goes through a linear map that begins at 0, the tap
      "added" (a control branch: Zhang et al. 2023).
    rt: execution choices.
  """

  heads: int
  mlp_ratio: float = 4.0
  temporal: bool = False
  fused: bool = False
  context: bool = False
  branch: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    cond: jax.Array,
    frames: int = 1,
    told: Some = None,
    keep: Some = None,
    context: Some = None,
    added: Some = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t n, w] -> [b, t n, w] and the taps asked for.

    Args:
      x: tokens, frame by frame.
      cond: [b, 6 w], e.
      frames: t.
      told: [b, m, w] tokens of CA.
      keep: see `Fused`.
      context: [b, s, w] tokens of Cross.
      added: [b, t n, w], what a branch adds to x first.
      taps: "block" (the output), "added".
    """
    rt, width = self.rt, x.shape[-1]
    own = dict(heads=self.heads, rt=rt)
    mods = adaln.single(self, 6, cond.reshape(-1, 6, width))
    shift1, scale1, gate1, shift2, scale2, gate2 = mods
    x = x if added is None else x + added.astype(x.dtype)
    h = norm.layer_norm(rt, "norm1", affine=False)(x)
    h = adaln.modulate(h, shift1, scale1)
    y = self._within(h, frames, **own)
    if self.fused:
      y = y + Fused(**own, name="fused")(h, told, keep)
    x = rt.shard(x + gate1[:, None] * y)
    if self.temporal and (frames > 1 or self.is_initializing()):
      y = TimeAttention(**own, name="temporal")(x, frames)
      x = rt.shard(x + gate1[:, None] * y)
    if self.context:
      x = told_block.Told(**own, name="cross")(x, context)
    x = ad_checkpoint.checkpoint_name(x, "middle")
    h = norm.layer_norm(rt, "norm2", affine=False)(x)
    h = adaln.modulate(h, shift2, scale2)
    hidden = int(width * self.mlp_ratio)
    y = mlp.MLP(hidden=hidden, rt=rt, act="gelu_tanh", name="mlp")(h)
    x = rt.shard(x + gate2[:, None] * y)
    found = {"block": x}
    if self.branch:
      zero = dense.dense(rt, width, kernel_init=ZEROS, name="added")
      found["added"] = zero(x)
    return x, {name: found[name] for name in taps}

  def _within(self, h, frames, **own):
    """Self-attention of each frame."""
    h = einops.rearrange(h, "b (t n) w -> (b t) n w", t=frames)
    y, _ = attention.SelfAttention(**own, name="attn")(self.rt.shard(h))
    return einops.rearrange(y, "(b t) n w -> b (t n) w", t=frames)
