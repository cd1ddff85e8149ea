"""MicroDiT: a patch mixer on all patches, a backbone on those that are kept.

Sehwag et al. 2025 (SonyResearch/micro_diffusion). With p the patches and y the
tokens of a text:

    c = time(t) + pooled(mean y)
    p = mixer(p, y, c)           all patches; narrower between two maps
    p = backbone(p[kept], y, c)  its blocks differ in width and kind
    F = head(p), and 0 where a patch was removed

The map out of the mixer follows the removal, as it is the same for each patch.
Blocks of unequal shape cannot be stacked: each has its own name, and the
program has each of them (docs/concepts.md).
"""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import adaln
from jmim.nn import cross_dit
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import recompute
from jmim.nn import stack

WAVES = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
  """What is a block's own.

  Attributes:
    inner: width of q, k and v of its self-attention.
    hidden: hidden width of its feed-forward network, or of an expert.
    experts: E, that choose their tokens; 0: a SwiGLU.
    std: of the kernels that write into the stream, at first.
  """

  inner: int
  hidden: int
  experts: int = 0
  std: float = 0.02


class MicroDiT(nn.Module, kw_only=True):
  """Noisy image, time and text to a prediction per pixel.

  Attributes:
    width: of the backbone.
    head: width of a head, everywhere.
    patch: side of a patch.
    grid: (h, w) in patches.
    out: channels of the prediction.
    layers: of the backbone.
    mixer: layers of the mixer; (): there is none.
    mixer_width: width of the mixer; that of the backbone: no maps.
    mixer_maps: maps to that width and back although the mixer has no layers.
    text_hidden: hidden width of the text's block.
    capacity: experts that a token has on average, where there are experts.
    bias: linear maps of the blocks, and those around the mixer, have biases.
    step: between neighbours in the table of positions, see `posemb.sincos_2d`.
    rt: execution choices.
  """

  width: int
  head: int
  patch: int
  grid: tuple[int, int]
  out: int
  layers: tuple[Layer, ...]
  mixer: tuple[Layer, ...] = ()
  mixer_width: int = 0
  mixer_maps: bool = False
  text_hidden: int = 256
  capacity: float = 2.0
  bias: bool = False
  step: float = 1.0
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def maps(self) -> bool:
    """Whether there are maps around the mixer."""
    there = bool(self.mixer) or self.mixer_maps
    return there and self.mixer_width != self.width

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    t: jax.Array,
    told: jax.Array,
    mask: masking.Mask | None = None,
  ) -> dict[str, jax.Array]:
    """Predicts for [b, h*p, w*p, c].

    Args:
      x: noisy image or latent, scaled as the network sees it.
      t: [b] times.
      told: [b, l, e] a vector of each token of a text; zeros: of none.
      mask: which patches the backbone sees; None: all, in raster order.

    Returns:
      pred: [b, h*p, w*p, out] float32, 0 where a patch was removed.
      cond: [b, width] time + pooled text.
      told: [b, l, width] tokens of the text as blocks see them.
      latent: [b, k, width] tokens after the last block.
    """
    rt, width = self.rt, self.width
    dense = functools.partial(nn.Dense, dtype=rt.dtype)
    xavier = nn.initializers.xavier_uniform()
    tokens = rt.shard(patching.patchify(x, self.patch))
    tokens = dense(width, kernel_init=xavier, name="patch_embed")(tokens)
    table = posemb.sincos_2d(width, self.grid, step=self.step)
    tokens = rt.shard(tokens + jnp.asarray(table, rt.dtype))
    cond, told = self._told(t, told)
    active = recompute.gelu_tanh(cond)
    tokens = self._mixed(tokens, active, told, mask)
    latent = self._blocks("block", self.layers, tokens, cond=active, told=told)
    y = adaln.last(rt, cross_dit.scale_norm(rt, "norm")(latent), active)
    y = dense(self.patch**2 * self.out, kernel_init=adaln.ZEROS, name="pred")(y)
    if mask is not None:
      y = masking.restore(y, jnp.zeros((1, 1, y.shape[-1])), mask)
    pred = patching.unpatchify(y.astype(jnp.float32), self.patch, self.grid)
    return {"pred": pred, "cond": cond, "told": told, "latent": latent}

  def _told(self, t, told):
    """(conditioning [b, w], tokens of the text [b, l, w])."""
    rt, width = self.rt, self.width
    told = rt.shard(told.astype(rt.dtype))
    told = cross_dit.NormedMLP(width=width, rt=rt, name="text_embed")(told)
    told = cross_dit.TextBlock(
      head=self.head,
      hidden=self.text_hidden,
      bias=self.bias,
      rt=rt,
      name="text_block",
    )(told)
    pooled = cross_dit.NormedMLP(width=width, rt=rt, name="text_pool")
    time = adaln.TimeEmbed(
      width=width,
      hidden=width,
      waves=WAVES,
      act=recompute.gelu_tanh,
      rt=rt,
      name="time_embed",
    )
    return time(t) + pooled(told.mean(1)), rt.shard(told)

  def _mixed(self, tokens, cond, told, mask):
    """[b, n, w] -> the kept ones of the mixer's tokens, [b, k, w]."""
    if self.maps:
      tokens = self._map(tokens, "mixer_in", self.mixer_width)
      told = self._map(told, "mixer_text", self.mixer_width)
    tokens = self._blocks("mixer", self.mixer, tokens, cond=cond, told=told)
    if mask is not None:
      tokens = self.rt.shard(masking.take(tokens, mask.keep))
    return self._map(tokens, "mixer_out", self.width) if self.maps else tokens

  def _map(self, x, name, width):
    """Norm and linear map to another width."""
    return nn.Dense(
      width,
      use_bias=self.bias,
      dtype=self.rt.dtype,
      kernel_init=nn.initializers.xavier_uniform(),
      name=name,
    )(cross_dit.scale_norm(self.rt, f"{name}_norm")(x))

  def _blocks(self, name, layers, x, *, cond, told):
    """Blocks <name>_0, <name>_1, ... one after the other."""
    make: Any = cross_dit.CrossBlock
    if self.rt.remat != "none":
      make = nn.remat(make, policy=stack.policy(self.rt))
    for i, layer in enumerate(layers):
      block = make(
        inner=layer.inner,
        head=self.head,
        hidden=layer.hidden,
        experts=layer.experts,
        capacity=self.capacity,
        bias=self.bias,
        std=layer.std,
        rt=self.rt,
        name=f"{name}_{i}",
      )
      x = block(x, cond=cond, told=told)
    return x
