"""Vision transformer (Dosovitskiy et al. 2021)."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import attention
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import norm as norms
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes


def build(
  dims: sizes.Dims, side: int | tuple[int, int], **options: Any
) -> "ViT":
  """The ViT of a config section.

  Args:
    dims: size and patch.
    side: of the images [pixels], or (height, width).
    **options: other attributes of `ViT`.
  """
  return ViT(size=dims.size, patch=dims.patch, grid=dims.grid(side), **options)


class ViT(nn.Module, kw_only=True):
  """Encoder of visible tokens.

  Attributes:
    size: width, depth, heads.
    patch: side of a patch in pixels.
    grid: (h, w) in patches, which fixes the position table.
    positions: "sincos" (fixed), "learned", "none", or "rotary": q and k of
      the patches are turned, see `posemb.rotary` (centred: DINOv3).
    theta: base of the rotary frequencies.
    table_grid: (h, w) that learned positions are stored for, resized to `grid`
      as DINOv2 does it; None: `grid`.
    order: of the sin-cos table, see `posemb.sincos_2d`.
    cls: put a class token first.
    layer_scale: initial LayerScale factor; 0: none.
    final_norm: LayerNorm after the last block.
    pre_norm: LayerNorm before the first block (CLIP).
    patch_bias: bias of the patch embedding.
    maskable: has a learned token that `replaced` patches become (SimMIM).
    relative: one relative position bias shared by all blocks (BEiT).
    registers: learned tokens between cls and patches, without positions
      (Darcet et al. 2024).
    style: other options of `block.Block`.
    rt: execution choices.
  """

  size: sizes.Size
  patch: int
  grid: tuple[int, int]
  positions: str = "sincos"
  table_grid: tuple[int, int] | None = None
  order: str = "xy"
  cls: bool = True
  layer_scale: float = 0.0
  final_norm: bool = True
  pre_norm: bool = False
  patch_bias: bool = True
  maskable: bool = False
  relative: bool = False
  registers: int = 0
  theta: float = 100.0
  style: Mapping[str, Any] = flax.core.FrozenDict()
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def prefix(self) -> int:
    """Tokens before the patches."""
    return int(self.cls) + self.registers

  @property
  def stride(self) -> int:
    """Pixels per output token and axis."""
    return self.patch

  def setup(self) -> None:
    """Declares parameters; see the class attributes."""
    size, style = self.size, dict(self.style)
    init = nn.initializers.normal(0.02)
    self.patch_embed = patching.PatchEmbed(
      width=size.width, patch=self.patch, rt=self.rt, bias=self.patch_bias
    )
    if self.cls:
      self.cls_token = self.param("cls_token", init, (1, 1, size.width))
    if self.registers:
      shape = (1, self.registers, size.width)
      self.register_tokens = self.param("register_tokens", init, shape)
    if self.maskable:
      self.mask_embed = self.param(
        "mask_token", initialise.mask_token, (1, 1, size.width)
      )
    self.pos_embed = self._positions()
    if self.relative:
      self.rel_pos_bias = posemb.RelativeBias(
        heads=size.heads, grid=self.grid, prefix=self.prefix
      )
    self.blocks = block.make_stack(size, self.rt, self.layer_scale, **style)
    norm = lambda: norms.layer_norm(self.rt, None, style.get("eps", 1e-6))
    if self.pre_norm:
      self.norm_pre = norm()
    if self.final_norm:
      self.norm = norm()

  def _positions(self):
    """[1, cls + n, w] table or parameter; None: no positions."""
    if self.positions in ("none", "rotary"):
      return None
    stored, prefix = self.table_grid or self.grid, int(self.cls)
    table = posemb.sincos_2d(
      self.size.width, stored, self.order, prefix=prefix
    )[None]
    if self.positions == "sincos":
      return table
    table = self.param("pos_embed", lambda _: jnp.asarray(table))
    if stored == self.grid:
      return table
    # The release with registers smooths, the one without does not.
    return posemb.resize(
      table, stored, self.grid, prefix, antialias=bool(self.registers)
    )

  def _rotary(self, keep):
    """{"rotary": angles [1 or b, n or k, d/2] of the patches}, or {}."""
    if self.positions != "rotary":
      return {}
    width = self.size.width // self.size.heads
    table = posemb.rotary(self.grid, width, self.theta, centred=True)
    table = jnp.asarray(table)
    return {"rotary": table[None] if keep is None else table[keep]}

  def _first(self, batch, pos):
    """The tokens before the patches: cls with its position, registers."""
    tokens = []
    if self.cls:
      cls = self.cls_token.astype(self.rt.dtype)
      tokens.append(cls if pos is None else cls + pos[:, :1])
    if self.registers:
      tokens.append(self.register_tokens.astype(self.rt.dtype))
    return [jnp.broadcast_to(x, (batch, *x.shape[1:])) for x in tokens]

  def _table(self):
    """Positions in the dtype of the tokens, or None."""
    pos = self.pos_embed
    return None if pos is None else jnp.asarray(pos, self.rt.dtype)

  def embed(
    self, images: jax.Array, replaced: jax.Array | None = None
  ) -> jax.Array:
    """[b, n, w] `tokens` of images, without running a block.

    Args:
      images: normalised float images.
      replaced: [b, n], 1 where the mask token stands for the patch.
    """
    dtype, tokens = self.rt.dtype, self.patch_embed(images)
    if replaced is not None:
      m = replaced[..., None].astype(dtype)
      tokens = tokens * (1 - m) + self.mask_embed.astype(dtype) * m
    pos = self._table()
    return tokens if pos is None else tokens + pos[:, int(self.cls) :]

  def _embed_kept(self, images, keep):
    """[b, k, w], the rows of `embed` that are kept; no others are computed."""
    tokens, pos = self.patch_embed(images, keep), self._table()
    return tokens if pos is None else tokens + pos[0, int(self.cls) :][keep]

  def __call__(
    self,
    images: jax.Array | None = None,
    keep: jax.Array | None = None,
    *,
    tokens: jax.Array | None = None,
    stream: jax.Array | None = None,
    replaced: jax.Array | None = None,
    valid: jax.Array | None = None,
    drop: jax.Array | None = None,
    start: int = 0,
    stop: int | None = None,
    edit: attention.Edit | None = None,
    bias_of: Callable[[jax.Array], jax.Array] | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Encodes the kept patches of [b, h*p, w*p, c] images.

    Args:
      images: normalised float images; None: `tokens` or `stream` is given.
      keep: [b, k] int32, the patches to encode, in their order; None: all, in
        raster order. Of a `stream`: the patches it has (for rotary positions).
      tokens: [b, n, w] in place of images, see `embed`.
      stream: [b, prefix + k, w] in place of images: what enters block `start`.
      replaced: [b, n], 1 where the mask token stands for the patch.
      valid: [b, k] bool, False = kept only to fill up: not attended to.
      drop: [depth, 2, b] drop-path factors.
      start: first block that is run.
      stop: early exit before this block (then the final norm).
      edit: changes the logits of attention, see `block.Block`; one per block
        as `stack.Stack` says.
      bias_of: makes a bias of attention from what it reads; as `edit`.
      taps: per-block outputs to return as well, see `block.Block`.

    Returns:
      tokens: [b, n, w] patch embedding + position, all patches (none of a
        `stream`).
      embedded: [b, prefix + k, w] what enters the first block that is run.
      stream: [b, prefix + k, w] what leaves the last.
      latent: [b, prefix + k, w], the same after the final norm.
      and each tap: [blocks run, ...].

    Raises:
      ValueError: where not exactly one of images, tokens and stream is given.
    """
    if sum(a is not None for a in (images, tokens, stream)) != 1:
      raise ValueError("give one of images, tokens and stream")
    entered = {}
    if stream is None:
      early = images is not None and keep is not None and replaced is None
      # Compiled programs leave out `tokens` where nobody reads them.
      tokens = self.embed(images, replaced) if tokens is None else tokens
      entered = {"tokens": tokens}
      if early:
        seen = self._embed_kept(images, keep)
      else:
        seen = tokens if keep is None else masking.take(tokens, keep)
      stream = self._enter(seen)
    run = {"drop": drop, "start": start, "stop": stop, "taps": taps}
    hooks = {"edit": edit, "bias_of": bias_of}
    x, tapped = self._run(stream, keep, valid, hooks=hooks, **run)
    latent = self.norm(x) if self.final_norm else x
    return entered | {
      "embedded": stream,
      "stream": x,
      "latent": latent,
      **tapped,
    }

  def _enter(self, x):
    """[b, k, w] -> [b, prefix + k, w] what enters the first block."""
    x = jnp.concatenate([*self._first(len(x), self._table()), x], axis=1)
    return self.norm_pre(x) if self.pre_norm else x

  def _run(self, x, keep, valid, *, hooks, drop, taps, **run):
    """Blocks start .. stop-1 of [b, t, w]: the stream after them, and taps."""
    hooks = {name: f for name, f in hooks.items() if f is not None}
    shared = {"bias": self.rel_pos_bias()[None]} if self.relative else {}
    shared |= self._rotary(keep) | hooks
    if valid is not None:
      valid = jnp.pad(valid, ((0, 0), (self.prefix, 0)), constant_values=True)
    t = x.shape[1]
    # Taps, biases and angles have the shape of the tokens before filling up.
    if not (taps or shared or "window" in self.style):
      x, valid = masking.fill_up(x, valid, self.rt.pad_tokens)
    if valid is not None:
      shared["mask"] = valid
    x, tapped = self.blocks(
      self.rt.shard(x),
      per_layer={} if drop is None else {"drop": drop},
      taps=taps,
      **run,
      **shared,
    )
    return x[:, :t], tapped
