r"""Step-Video's transformer: every token of a clip sees all others.

Ma et al. 2025 (stepfun-ai/Step-Video-T2V@675e08c). With e the embedding of the
time and c what is told, of two encoders of texts:

    e  = MLP(wave(1000 t)) [+ MLPs of rows and columns, frames, frames a second]
    m  = W silu(e)                         6 w numbers, shared by all blocks
    a, b, g, ... = m + table               the block's own table
    x += g attention((1 + b) LN x + a)     all tokens; rotary in 3 axes
    x += cross(x, c)                       neither norm nor gate nor rotary
    x += g' MLP((1 + b') LN x + a')

q and k are RMS-normed per head in both, the linear maps of blocks have no
biases. Starts as PixArt-alpha (Chen et al. 2024): the cross-attention and the
prediction are 0.

What attends can be replaced from outside, layer by layer and with a state of
its own (`Attend`): `nn.factorised`, the baseline, is such a function. Letters:
b batch, t frames, n tokens of a clip, s of a text, w width, d of a head.
"""

import functools
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import attention
from jmim.nn import attention_logits
from jmim.nn import dense
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import recompute
from jmim.nn import sizes
from jmim.nn import stack
from jmim.nn.nets import video

THETA = 10_000.0
TIME_SCALE = 1000.0
EPS = 1e-5  # of the blocks' LayerNorms
SIZES_TOLD = ("none", "size", "rate")
ZEROS = nn.initializers.zeros

# q, k, v [b, h, n, d] after norm and rotary, and a layer's state, any tree ->
# ([b, h, n, d], its new state), in place of `attention.attend`.
Attend = Callable[..., tuple[jax.Array, Any]]


class Told(NamedTuple):
  """What the network is told beside the time.

  Attributes:
    text: [b, l, e] features of a language model.
    clip: [b, k, f] features of CLIP, which stand before them; None: none.
    valid: [b] int32, how many of both that is, from the first, are read.
    fps: [b] frames per second; None: not told.
  """

  text: jax.Array
  clip: jax.Array | None
  valid: jax.Array
  fps: jax.Array | None = None


class Block(nn.Module, kw_only=True):
  """The block above.

  Attributes:
    heads: attention heads.
    hidden: hidden width of the MLP.
    axes: widths of a head's slices for frame, row and column.
    rt: execution choices.
  """

  heads: int
  hidden: int
  axes: tuple[int, ...]
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    cond: jax.Array,
    context: jax.Array | None = None,
    mask: jax.Array | None = None,
    rotary: jax.Array | None = None,
    attend: Attend | None = None,
    state: Any = None,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, Any]]:
    """[b, n, w] -> [b, n, w] and the taps asked for.

    Args:
      x: tokens.
      cond: [b, 6 w], shared by all blocks.
      context: [b, s, w]. None, while parameters are made, which a stack does
        without one: its width is that of x.
      mask: [b, s] bool, True = a token of the context that is read.
      rotary: angles of the tokens, see `attention.SelfAttention`.
      attend: in place of attention over all tokens.
      state: of this layer, which `attend` is given.
      taps: "block" (the output), "state" (what `attend` gave back), those of
        `attention.SelfAttention`.
    """
    rt, width = self.rt, x.shape[-1]
    context = x if context is None else context
    mods = adaln.single(self, 6, cond.reshape(-1, 6, width))
    shift1, scale1, gate1, shift2, scale2, gate2 = mods
    heads = dict(heads=self.heads, qkv_bias=False, proj_bias=False, rt=rt)
    heads |= dict(qk_norm="rms")
    attn = attention.SelfAttention(
      rotary_widths=self.axes, name="attn", **heads
    )
    y = adaln.modulate(norm.layer_norm(rt, "norm1", EPS)(x), shift1, scale1)
    own = tuple(tap for tap in taps if tap != "block")
    instead = attend and (lambda *qkv: _state_as_tap(attend(*qkv, state)))
    y, found = attn(y, rotary=rotary, instead=instead, taps=own)
    x = rt.shard(x + gate1[:, None] * y)
    cross = attention.CrossAttention(proj_init=ZEROS, name="cross", **heads)
    x = rt.shard(x + cross(x, context, mask=mask))
    x = jax.ad_checkpoint.checkpoint_name(x, "middle")
    y = adaln.modulate(norm.layer_norm(rt, "norm2", EPS)(x), shift2, scale2)
    y = mlp.MLP(
      hidden=self.hidden, rt=rt, act="gelu_tanh", bias=False, name="mlp"
    )(y)
    x = rt.shard(x + gate2[:, None] * y)
    return x, {tap: x if tap == "block" else found[tap] for tap in taps}


def _state_as_tap(made):
  """What a replaced attention gives, its state as a tap."""
  y, state = made
  return y, {"state": state}


class VideoDiT(nn.Module, kw_only=True):
  """Noisy clip, time and texts to a prediction per pixel of every frame.

  Attributes:
    size: width, depth, heads.
    patch: side of a patch of a frame.
    axes: widths of a head's slices for frame, row and column.
    out: channels of the prediction.
    sizes_told: of SIZES_TOLD: rows, columns and frames of the tokens, and
      frames per second, are embedded beside the time.
    rt: execution choices.
  """

  size: sizes.Size
  patch: int
  axes: tuple[int, ...]
  out: int
  sizes_told: str = "none"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    told: Told,
    *,
    attend: Attend | None = None,
    state: Any = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, Any]:
    """Predicts for [b, t, h*p, w*p, c].

    Args:
      x: noisy clip or latents.
      t: [b] times in [0, 1].
      told: texts.
      attend: in place of attention over all tokens, see `Attend`.
      state: of `attend`, a tree of arrays [depth, ...].
      taps: per-block outputs wanted, see `Block`.

    Returns:
      pred: [b, t, h*p, w*p, out] float32.
      cond: [b, 6 width], which all blocks share.
      latent: [b, n, width] tokens after the last block.
      and each tap: [depth, ...].
    """
    rt, width, p = self.rt, self.size.width, self.patch
    linear = functools.partial(dense.dense, rt)
    xavier = nn.initializers.xavier_uniform()
    grid = (x.shape[1], x.shape[2] // p, x.shape[3] // p)
    tokens = linear(width, kernel_init=xavier, name="patch_embed")(
      rt.shard(video.tubelets(x, 1, p))
    )
    embedded = self._embedded(t, told, grid)
    cond = linear(
      6 * width, kernel_init=nn.initializers.normal(0.02), name="modulation"
    )(nn.silu(embedded))
    context = self._context(told)
    make = functools.partial(
      Block,
      heads=self.size.heads,
      hidden=int(width * self.size.mlp_ratio),
      axes=self.axes,
      rt=rt,
      parent=None,
    )
    latent, found = stack.Stack(make, self.size.depth, rt, name="blocks")(
      rt.shard(tokens),
      cond=cond,
      context=context,
      mask=attention_logits.prefix(told.valid, context.shape[1]),
      rotary=video.rotary(grid, self.axes, THETA),
      attend=attend,
      per_layer=None if state is None else {"state": state},
      taps=taps,
    )
    pred = self._predicted(latent, embedded, grid)
    return {"pred": pred, "cond": cond, "latent": latent, **found}

  def _embedded(self, t, told, grid):
    """[b, width]: the time, and what is told of sizes."""
    width, b = self.size.width, len(t)
    embed = lambda name, width: adaln.TimeEmbed(
      width=width, hidden=width, rt=self.rt, name=name
    )
    e = embed("time_embed", width)(TIME_SCALE * t)
    if self.sizes_told == "none":
      return e
    rows_columns = embed("size_embed", width // 2)(jnp.asarray(grid[1:]))
    e = e + rows_columns.reshape(1, width)
    e = e + embed("frames_embed", width)(jnp.asarray(grid[:1]))
    if self.sizes_told == "rate":
      e = e + embed("rate_embed", width)(told.fps)
    return jnp.broadcast_to(e, (b, width))

  def _predicted(self, latent, embedded, grid):
    """[b, t, h*p, w*p, out] float32 of the last tokens."""
    rt, p = self.rt, self.patch
    shift, scale = adaln.single(self, 2, embedded[:, None])
    y = adaln.bare_norm(rt, "norm", affine=False)(latent)
    y = adaln.modulate(y, shift, scale)
    y = dense.dense(rt, p**2 * self.out, kernel_init=ZEROS, name="pred")(y)
    return video.untubelets(y.astype(jnp.float32), p, grid)

  def _context(self, told):
    """[b, s, width] tokens of both encoders."""
    rt, width = self.rt, self.size.width
    y = adaln.bare_norm(rt, "text_norm", affine=False)(told.text)
    y = dense.dense(rt, width, name="text_fc1")(y)
    y = dense.dense(rt, width, name="text_fc2")(recompute.gelu_tanh(y))
    if told.clip is not None:
      clip = dense.dense(rt, width, name="clip_embed")(told.clip)
      y = jnp.concatenate([clip.astype(y.dtype), y], axis=1)
    return rt.shard(y)
