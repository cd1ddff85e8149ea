"""DiT and the masked encoder-decoder of UMD.

DiT: Peebles and Xie 2023; the masked one: Hansen-Estruch et al. 2024 (UMD),
of which MAE, MaskDiT and a split DiT are settings.
"""

import functools
from collections.abc import Callable

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import adaln
from jmim.nn import norm
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack


class DiT(nn.Module, kw_only=True):
  """Noisy image, time and label to a prediction per pixel.

  Attributes:
    size: width, depth, heads.
    patch: side of a patch.
    grid: (h, w) in patches; (): that of the image.
    out: channels of the prediction.
    classes: labels 0 .. classes - 1, `classes` = none; 0: no label table.
    rt: execution choices.
    qk_norm: norm of q and k, see `attention.SelfAttention`.
    qk_eps: of that norm.
    shift: the blocks' modulations have a shift, see `adaln.AdaBlock`.
    ffn: of the blocks instead of an MLP, see `adaln.AdaBlock`.
    rms: RMSNorm in place of LayerNorm.
    swiglu: SwiGLU of two thirds of the MLP's width in its place.
    theta: base of rotary positions by row and column; 0: none.
    step: between neighbours in the table of positions, see `posemb.sincos_2d`.
    between: in the blocks, see `adaln.AdaBlock`; None: no context is read.
  """

  size: sizes.Size
  patch: int
  grid: tuple[int, ...]
  out: int
  classes: int = 0
  rt: runtime.Runtime = runtime.Runtime()
  qk_norm: bool | str = False
  qk_eps: float = 1e-6
  shift: bool = True
  ffn: Callable[..., nn.Module] | None = None
  rms: bool = False
  swiglu: bool = False
  theta: float = 0.0
  step: float = 1.0
  between: Callable[..., nn.Module] | None = None

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    context: jax.Array | None = None,
    *,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Predicts for [b, h*p, w*p, c].

    Args:
      x: noisy image or latent.
      t: [b] times.
      label: [b] int; needed if there are classes.
      context: [b, s, e]; needed if something in the blocks reads it.
      taps: per-block outputs wanted, see `adaln.AdaBlock`.

    Returns:
      pred: [b, h*p, w*p, out] float32.
      cond: [b, width] time + label embedding.
      latent: [b, n, width] tokens after the last block.
      and each tap: [depth, ...].
    """
    width, rt = self.size.width, self.rt
    dense = functools.partial(nn.Dense, dtype=rt.dtype)
    xavier = nn.initializers.xavier_uniform()
    grid = self.grid or tuple(side // self.patch for side in x.shape[1:3])
    tokens = rt.shard(patching.patchify(x, self.patch))
    tokens = dense(width, kernel_init=xavier, name="patch_embed")(tokens)
    table = posemb.sincos_2d(width, grid, step=self.step)
    tokens = tokens + jnp.asarray(table, rt.dtype)
    cond = adaln.TimeEmbed(width=width, hidden=width, rt=rt, name="time_embed")(
      t
    )
    if self.classes:
      cond = cond + adaln.label_table(self.classes, width, rt)(label)
    make = functools.partial(
      adaln.AdaBlock,
      heads=self.size.heads,
      mlp_ratio=self.size.mlp_ratio,
      rt=rt,
      qk_norm=self.qk_norm,
      qk_eps=self.qk_eps,
      shift=self.shift,
      ffn=self.ffn,
      rms=self.rms,
      swiglu=self.swiglu,
      between=self.between,
      parent=None,
    )
    blocks = stack.Stack(make, self.size.depth, rt, name="blocks")
    active = nn.silu(cond)
    more = {}
    if self.theta:
      head = width // self.size.heads
      more["rotary"] = posemb.rotary(grid, head, self.theta)[None]
    if self.between is not None:
      told = dense(width, kernel_init=xavier, name="context_embed")
      more["context"] = told(context)
    latent, found = blocks(rt.shard(tokens), cond=active, taps=taps, **more)
    y = adaln.bare_norm(rt, "norm", affine=False, rms=self.rms)(latent)
    y = adaln.last(rt, y, active)
    y = dense(self.patch**2 * self.out, kernel_init=adaln.ZEROS, name="pred")(y)
    pred = patching.unpatchify(y.astype(jnp.float32), self.patch, grid)
    return {"pred": pred, "cond": cond, "latent": latent, **found}


class MaskedDiT(nn.Module, kw_only=True):
  """UMD's network: an encoder of visible tokens and a decoder of all.

  Attributes:
    size: width, depth, heads of the encoder.
    decoder_depth: blocks of the decoder, of the same width.
    patch: side of a patch.
    grid: (h, w) in patches.
    channels: of the images.
    classes: as in `DiT`.
    adaln: condition by adaLN-Zero; else by a token in every block.
    cls: class tokens, without positions; the authors start them at zero, so
      that they stay equal for ever and count as one, `cls` times.
    cls_std: deviation of their start.
    rt: execution choices.
  """

  size: sizes.Size
  decoder_depth: int
  patch: int
  grid: tuple[int, int]
  channels: int
  classes: int = 0
  adaln: bool = True
  cls: int = 4
  cls_std: float = 0.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    mask: masking.Mask | None = None,
  ) -> dict[str, jax.Array]:
    """Predicts every patch from the visible ones of [b, h*p, w*p, c].

    Args:
      x: clean or noisy image.
      t: [b] times; 0 is the noise-free one.
      label: [b] int; needed if there are classes.
      mask: which patches are seen; None: all, in raster order.

    Returns:
      x0: [b, h*p, w*p, c] float32, the data.
      eps: [b, h*p, w*p, c] float32, the noise.
      hidden: [b, h*p, w*p, 1], 1 where a patch was not seen.
      pre_logits: [b, w] float32, mean of the class tokens.
    """
    width, rt = self.size.width, self.rt
    normal = nn.initializers.normal
    n = self.grid[0] * self.grid[1]
    cond = self._condition(t, label)
    patches = rt.shard(patching.patchify(x, self.patch))
    position = self.param("pos_embed", normal(n**-0.5), (1, n, width))
    position = jnp.asarray(position, rt.dtype)
    if mask is not None:  # what is hidden is not embedded
      patches = masking.take(patches, mask.keep)
      position = position[0][mask.keep]
    embed = nn.Dense(width, dtype=rt.dtype, name="patch_embed")
    tokens = embed(patches) + position
    cls = self.param("cls_token", normal(self.cls_std), (1, self.cls, width))
    tokens = self._prepend(cls, tokens)
    y = self._blocks("encoder", self.size.depth)(tokens, cond=cond)[0]
    y = norm.layer_norm(rt, "encoder_norm")(y)
    found = y[:, : self.cls].mean(1, keepdims=True)
    y = self._decode(y[:, self.cls :], found, cond=cond, mask=mask, n=n)
    pred = patching.unpatchify(y.astype(jnp.float32), self.patch, self.grid)
    x0, eps = jnp.split(pred, 2, axis=-1)
    hidden = jnp.zeros((len(x), n)) if mask is None else mask.mask
    return {
      "x0": x0,
      "eps": eps,
      "hidden": patching.pixels(hidden, self.patch),
      "pre_logits": found[:, 0].astype(jnp.float32),
    }

  def _decode(self, visible, found, cond, mask, n):
    """[b, k, w] visible latents -> [b, n, p*p*out]."""
    width, rt = self.size.width, self.rt
    normal = nn.initializers.normal
    token = self.param("mask_token", normal(0.02), (1, 1, width))
    y = visible if mask is None else masking.restore(visible, token, mask)
    position = self.param("decoder_pos_embed", normal(n**-0.5), (1, n, width))
    y = self._prepend(found, y + position.astype(rt.dtype))
    y = self._blocks("decoder", self.decoder_depth)(y, cond=cond)[0]
    y = norm.layer_norm(rt, "decoder_norm")(y)[:, 1:]
    if self.adaln:
      y = adaln.last(rt, y, cond)
    return nn.Dense(
      self.patch**2 * 2 * self.channels,
      dtype=rt.dtype,
      kernel_init=normal(0.02),
      name="pred",
    )(y)

  def _condition(self, t, label):
    """Sum of the embeddings, each with its own trunk."""
    width, rt = self.size.width, self.rt
    cond = adaln.TimeEmbed(
      width=width,
      hidden=2 * width,
      waves=width,
      order="sin_cos",
      inclusive=True,
      std=0.0,
      rt=rt,
      name="time_embed",
    )(t)
    if self.classes:
      y = adaln.label_table(self.classes, width, rt)(label)
      y = nn.silu(nn.Dense(2 * width, dtype=rt.dtype, name="label_fc1")(y))
      cond = cond + nn.Dense(width, dtype=rt.dtype, name="label_fc2")(y)
    return nn.silu(cond) if self.adaln else cond

  def _prepend(self, first, tokens):
    """Puts [1 or b, k, w] before [b, t, w]."""
    first = einops.repeat(
      first, "b k w -> (b r) k w", r=len(tokens) // len(first)
    )
    joined = jnp.concatenate([first.astype(tokens.dtype), tokens], axis=1)
    return self.rt.shard(joined)

  def _blocks(self, name, depth):
    make = functools.partial(
      adaln.AdaBlock if self.adaln else adaln.TokenBlock,
      heads=self.size.heads,
      mlp_ratio=self.size.mlp_ratio,
      rt=self.rt,
      parent=None,
      **({"affine": True, "separate": True} if self.adaln else {}),
    )
    return stack.Stack(make, depth, self.rt, name=name)
