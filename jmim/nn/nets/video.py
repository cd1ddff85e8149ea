"""Networks of VideoMAE: tubelets, their positions, encoder and decoder.

Letters: b batch, t steps of tubelets, f frames in one, h w grid, n = t h w
tokens (t slowest), p patch, c channels.
"""

import functools
import math

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import norm
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes


def tubelets(video: jax.Array, frames: int, patch: int) -> jax.Array:
  """[b, t*f, h*p, w*p, c] -> [b, n, f*p*p*c]; (frame, row, column, channel).

  Raises:
    ValueError: if the video does not split evenly.
  """
  if video.shape[1] % frames or any(s % patch for s in video.shape[2:4]):
    raise ValueError(f"video {video.shape} not in {frames}x{patch}x{patch}")
  return einops.rearrange(
    video,
    "b (t f) (h p) (w q) c -> b (t h w) (f p q c)",
    f=frames,
    p=patch,
    q=patch,
  )


def untubelets(
  tokens: jax.Array, patch: int, grid: tuple[int, int, int]
) -> jax.Array:
  """[b, t*h*w, p*p*c] -> [b, t, h*p, w*p, c]: back from `tubelets` of a frame.

  Args:
    tokens: t slowest.
    patch: p.
    grid: (t, h, w).
  """
  sides = dict(zip("thw", grid, strict=True))
  form = "b (t h w) (p q c) -> b t (h p) (w q) c"
  return einops.rearrange(tokens, form, p=patch, q=patch, **sides)


def rotary(
  grid: tuple[int, int, int], widths: tuple[int, ...], theta: float
) -> jax.Array:
  """Angles [1, t*h*w, d/2] of all tokens, see `posemb.rotary_axes`.

  Spread on the device: the program holds those of an axis, not of each token,
  of which a long clip has many.

  Args:
    grid: (t, h, w).
    widths: of the axes' slices of a head.
    theta: base of the frequencies.
  """
  angles = []
  for axis, (n, width) in enumerate(zip(grid, widths, strict=True)):
    line = posemb.rotary_axes(np.arange(n)[:, None], (width,), theta)
    rest = [1] * (len(grid) - axis - 1)
    line = line.reshape(n, *rest, width // 2)
    angles.append(jnp.broadcast_to(line, (*grid, width // 2)))
  angles = jnp.concatenate(angles, axis=-1)
  return angles.reshape(1, math.prod(grid), -1)


def sinusoid(n: int, width: int) -> np.ndarray:
  """[n, width] float32, interleaved: even channels sin, odd cos (VideoMAE).

  angle(i, j) = i / 10000^(2 floor(j / 2) / width), i the flat index.
  """
  j = np.arange(width)
  angles = np.arange(n)[:, None] / 10000.0 ** (2 * (j // 2) / width)
  return np.where(j % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


class Embed(nn.Module, kw_only=True):
  """Linear map of tubelets (a 3-D convolution with stride = kernel), placed.

  Attributes:
    width: of the embedding.
    frames: in a tubelet.
    patch: side of a tubelet in pixels.
    rt: execution choices.
  """

  width: int
  frames: int
  patch: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, video: jax.Array, keep: jax.Array | None = None
  ) -> jax.Array:
    """[b, t*f, h*p, w*p, c], ids [b, k] or None (all) -> [b, k, width].

    Pixels are gathered, not embeddings: at 90 % hidden, a tenth of the work.
    """
    x = self.rt.shard(tubelets(video, self.frames, self.patch))
    pos = jnp.asarray(sinusoid(x.shape[1], self.width), self.rt.dtype)
    if keep is not None:
      x, pos = masking.take(x, keep), pos[keep]
    return patching.projection(self.width, x.shape[-1], self.rt)(x) + pos


class Encoder(nn.Module, kw_only=True):
  """A ViT over the kept tubelets of a video, without class token.

  Attributes:
    size: width, depth, heads.
    frames: in a tubelet.
    patch: side of a tubelet in pixels.
    layer_scale: initial LayerScale factor; 0: none.
    cosine: cosine attention.
    rt: execution choices.
  """

  size: sizes.Size
  frames: int
  patch: int
  layer_scale: float = 0.0
  cosine: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    video: jax.Array,
    keep: jax.Array | None = None,
    drop: jax.Array | None = None,
  ) -> jax.Array:
    """[b, t*f, h*p, w*p, c], ids [b, k] or None (all) -> [b, k, width]."""
    width, rt = self.size.width, self.rt
    x = Embed(
      width=width,
      frames=self.frames,
      patch=self.patch,
      rt=rt,
      name="patch_embed",
    )(video, keep)
    blocks = _blocks(self, "blocks")
    per_layer = {} if drop is None else {"drop": drop}
    x, _ = blocks(self.rt.shard(x), per_layer=per_layer)
    return norm.layer_norm(self.rt, "norm")(x)


class Decoder(nn.Module, kw_only=True):
  """Predicts some positions from visible tokens (VideoMAE V2).

  Attributes:
    size: width, depth, heads.
    grid: (steps, rows, columns) of tokens, n in all.
    out: outputs per token.
    layer_scale: initial LayerScale factor; 0: none.
    cosine: cosine attention.
    rt: execution choices.
  """

  size: sizes.Size
  grid: tuple[int, int, int]
  out: int
  layer_scale: float = 0.0
  cosine: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, latent: jax.Array, keep: jax.Array, decode: jax.Array
  ) -> jax.Array:
    """[b, k, w] -> [b, m, out] float32.

    Args:
      latent: [b, k, w] visible tokens.
      keep: [b, k] int32, their positions.
      decode: [b, m] int32, the positions to predict, visible ones among them.
    """
    width, dtype = self.size.width, self.rt.dtype
    init = nn.initializers.xavier_uniform()
    dense = functools.partial(nn.Dense, dtype=dtype, kernel_init=init)
    table = jnp.asarray(sinusoid(math.prod(self.grid), width), dtype)
    init_token = initialise.mask_token
    token = self.param("mask_token", init_token, (1, 1, width)).astype(dtype)
    visible = dense(width, use_bias=False, name="embed")(latent)
    x = [visible + table[keep], token + table[decode]]
    x, _ = _blocks(self, "blocks")(self.rt.shard(jnp.concatenate(x, axis=1)))
    x = norm.layer_norm(self.rt, "norm")(x[:, latent.shape[1] :])
    return dense(self.out, name="head")(x).astype(jnp.float32)


def _blocks(owner, name: str):
  """The stack of an encoder or decoder above."""
  return block.make_stack(
    owner.size,
    owner.rt,
    owner.layer_scale,
    name,
    qkv_bias="qv",
    cosine=owner.cosine,
  )
