"""Vision transformer (Dosovitskiy et al. 2021) and the MAE decoder."""

import dataclasses
import functools
import re
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.nn import block
from jmim.nn import masking
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import runtime
from jmim.nn import stack


@dataclasses.dataclass(frozen=True)
class Size:
  """Width, depth, heads and MLP ratio of a transformer."""

  width: int
  depth: int
  heads: int
  mlp_ratio: float = 4.0


SIZES = {
  "Ti": Size(192, 12, 3),
  "S": Size(384, 12, 6),
  "B": Size(768, 12, 12),
  "L": Size(1024, 24, 16),
  "H": Size(1280, 32, 16),
  "g": Size(1408, 40, 16, 48 / 11),  # hidden 6144 (Zhai et al. 2022)
}


def parse(variant: str) -> tuple[Size, int]:
  """Reads "B/16" as (Size, patch side).

  Raises:
    ValueError: not "<size>/<patch>" with a known size.
  """
  match = re.fullmatch(r"(\w+)/(\d+)", variant)
  if not match or match[1] not in SIZES or not int(match[2]):
    known = ", ".join(SIZES)
    raise ValueError(
      f"variant {variant!r} is not '<size>/<patch>' with a size of {known}"
    )
  return SIZES[match[1]], int(match[2])


def override(size: Size, **given: float) -> Size:
  """`size` with the fields that are given and not 0."""
  return dataclasses.replace(size, **{k: v for k, v in given.items() if v})


def check(
  size: Size, side: int, patch: int, prefix: str = "", table: bool = True
) -> None:
  """Raises ValueError where a ViT cannot be built, naming the numbers.

  Args:
    size: transformer size.
    side: image side in pixels.
    patch: patch side in pixels.
    prefix: of the names in the message ("decoder_").
    table: positions are a 2-D sin-cos table (width must divide by 4).
  """
  if side % patch:
    raise ValueError(f"image side {side} does not divide by patch {patch}")
  width = f"{prefix}width {size.width}"
  if size.width % size.heads:
    raise ValueError(f"{width} does not divide by {size.heads} {prefix}heads")
  if table and size.width % 4:
    raise ValueError(f"{width} does not divide by 4 (2-D sin-cos table)")


def make_stack(
  size: Size,
  rt: runtime.Runtime,
  layer_scale: float = 0.0,
  name: str | None = None,
) -> stack.Stack:
  """The stacked pre-norm blocks of a `Size`."""
  make = functools.partial(
    block.Block,
    heads=size.heads,
    mlp_ratio=size.mlp_ratio,
    layer_scale=layer_scale,
    rt=rt,
    parent=None,
  )
  return stack.Stack(make, size.depth, rt, name=name)


class ViT(nn.Module):
  """Encoder of visible tokens.

  Attributes:
    size: width, depth, heads.
    patch: side of a patch in pixels.
    grid: (h, w) in patches, which fixes the position table.
    positions: "sincos" (fixed, MAE order) or "learned".
    cls: put a class token first.
    layer_scale: initial LayerScale factor; 0: none.
    final_norm: LayerNorm after the last block.
    rt: execution choices.
  """

  size: Size
  patch: int
  grid: tuple[int, int]
  positions: str = "sincos"
  cls: bool = True
  layer_scale: float = 0.0
  final_norm: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  def setup(self):
    """Declares parameters; see the class attributes."""
    self.patch_embed = patching.PatchEmbed(self.size.width, self.patch, self.rt)
    if self.cls:
      init = nn.initializers.normal(0.02)
      self.cls_token = self.param("cls_token", init, (1, 1, self.size.width))
    table = posemb.sincos_2d(self.size.width, self.grid, prefix=int(self.cls))
    if self.positions == "learned":
      self.pos_embed = self.param(
        "pos_embed", lambda _: jnp.asarray(table)[None]
      )
    else:
      self.pos_embed = table[None]
    self.blocks = make_stack(self.size, self.rt, self.layer_scale)
    if self.final_norm:
      self.norm = block.layer_norm(self.rt, None)

  def __call__(
    self,
    images: jax.Array,
    mask: masking.Mask | None = None,
    *,
    drop: jax.Array | None = None,
    stop: int | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Encodes the kept patches of [b, h*p, w*p, c] images.

    Args:
      images: normalised float images.
      mask: which patches are seen; None: all, in raster order.
      drop: [depth, 2, b] drop-path factors.
      stop: early exit after this many blocks (then the final norm).
      taps: per-block outputs wanted, see `block.Block`.

    Returns:
      tokens: [b, n, w] patch embedding + position, all patches.
      latent: [b, cls + k, w] after the final norm.
      and each tap: [blocks, ...].
    """
    dtype = self.rt.dtype
    pos = jnp.asarray(self.pos_embed, dtype)
    tokens = self.patch_embed(images) + pos[:, int(self.cls) :]
    x = tokens if mask is None else masking.take(tokens, mask.keep)
    if self.cls:
      cls = self.cls_token.astype(dtype) + pos[:, :1]
      cls = jnp.broadcast_to(cls, (x.shape[0], *cls.shape[1:]))
      x = jnp.concatenate([cls, x], axis=1)
    per_layer = {} if drop is None else {"drop": drop}
    x, found = self.blocks(
      self.rt.shard(x), per_layer=per_layer, stop=stop, taps=taps
    )
    x = self.norm(x) if self.final_norm else x
    return {"tokens": tokens, "latent": x, **found}


def outputs(
  encode: Callable[..., dict[str, jax.Array]],
  grid: tuple[int, int],
  cls: bool = True,
) -> dict[str, Callable]:
  """What evaluators ask of a ViT encoder, for `Method.predict`.

  Args:
    encode: (params, batch, taps) -> what `ViT` returns without a mask.
    grid: (h, w) in patches.
    cls: the first token is a class token.

  Returns:
    features [b, w]: mean of the patch tokens; cls [b, w]; tokens
    [b, h, w, d]; layers: {"block_01": [b, w], ...}, the same mean after each
    block, before the final norm; attention [b, layers, heads, t, t], with the
    cls token as token 0. All float32.
  """
  first, f32 = int(cls), jnp.float32

  def latent(params, batch):
    return encode(params, batch, ())["latent"].astype(f32)

  def tokens(p, e, c, b, k):
    return patching.to_grid(latent(p, b)[:, first:], grid)

  def layers(p, e, c, b, k):
    means = encode(p, b, ("block",))["block"][:, :, first:].astype(f32).mean(2)
    return {f"block_{i + 1:02d}": mean for i, mean in enumerate(means)}

  def attention(p, e, c, b, k):
    return jnp.swapaxes(encode(p, b, ("attention",))["attention"], 0, 1)

  found = {
    "features": lambda p, e, c, b, k: latent(p, b)[:, first:].mean(1),
    "tokens": tokens,
    "layers": layers,
    "attention": attention,
  }
  if cls:
    found["cls"] = lambda p, e, c, b, k: latent(p, b)[:, 0]
  return found


class MaskedDecoder(nn.Module):
  """MAE decoder: mask tokens put back, blocks, a linear head per patch.

  Attributes:
    size: width, depth, heads of the decoder.
    grid: (h, w) in patches.
    out: outputs per patch, p*p*c.
    rt: execution choices.
  """

  size: Size
  grid: tuple[int, int]
  out: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, latent: jax.Array, mask: masking.Mask) -> jax.Array:
    """[b, 1 + k, w] -> [b, n, out] in float32, raster order, cls dropped."""
    width, dtype = self.size.width, self.rt.dtype
    init = nn.initializers.xavier_uniform()
    y = nn.Dense(width, dtype=dtype, kernel_init=init, name="embed")(latent)
    normal = nn.initializers.normal(0.02)
    token = self.param("mask_token", normal, (1, 1, width))
    patches = masking.restore(y[:, 1:], token, mask)
    y = jnp.concatenate([y[:, :1], patches], axis=1)
    table = posemb.sincos_2d(width, self.grid, prefix=1)
    y = self.rt.shard(y + jnp.asarray(table, dtype))
    y, _ = make_stack(self.size, self.rt, name="blocks")(y)
    y = block.layer_norm(self.rt, "norm")(y)
    y = nn.Dense(self.out, dtype=dtype, kernel_init=init, name="pred")(y)
    return y[:, 1:].astype(jnp.float32)
