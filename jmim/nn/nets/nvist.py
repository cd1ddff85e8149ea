"""A decoder of planes and lines, and colours along rays (NViST).

Jang and Agapito, CVPR 2024. One learned token stands for every patch of three
planes and three lines; it attends to the patches of an image in every second
block, and a camera modulates all of them (adaLN) or is one more patch.

Letters: b batch, n patches of the image, w width, R resolution, c channels, q
patches of a line.
"""

import dataclasses

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import adaln
from jmim.nn import attention
from jmim.nn import dense
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import waves

Array = jax.Array
XAVIER = nn.initializers.xavier_uniform()
KINDS = range(3)  # of planes, and of lines
ACT = mlp.ACTIVATIONS["gelu"]


class Block(nn.Module, kw_only=True):
  """x + gate attention(mod(LN x)), then the same with an MLP; not adaLN-Zero.

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    modulated: there are modulations; else norms have scales and biases.
    own_norms: keys and values have norms of their own; else that of queries.
    rt: execution choices.
  """

  heads: int
  mlp_ratio: float = 4.0
  modulated: bool = True
  own_norms: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, x: Array, *, cond: Array | None, told: Array | None = None
  ) -> Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: tokens.
      cond: [b, w], through its SiLU; None where nothing is modulated.
      told: [b, n, w] that is attended to; None: the tokens, if there are
        modulations with those of the queries.
    """
    rt, width = self.rt, x.shape[-1]
    first = second = None
    if self.modulated:
      mods = dense.dense(rt, 6 * width, kernel_init=XAVIER, name="modulation")
      mods = jnp.split(mods(cond), 6, axis=-1)
      first, second = mods[:3], mods[3:]
    inner, outer = (
      adaln.bare_norm(rt, name, affine=not self.modulated)
      for name in ("norm1", "norm2")
    )
    y = _modulated(inner(x), first)
    told = x if told is None and not self.modulated else told
    keys = values = y
    if told is not None:
      keys, values = (
        norm.layer_norm(rt, name) if self.own_norms else inner
        for name in ("norm_k", "norm_v")
      )
      keys, values = keys(told), values(told)
    attend = attention.CrossAttention(heads=self.heads, rt=rt, name="attn")
    x = rt.shard(x + _gated(attend(y, keys, values), first))
    y = _modulated(outer(x), second)
    y = mlp.MLP(hidden=int(width * self.mlp_ratio), rt=rt, name="mlp")(y)
    return rt.shard(x + _gated(y, second))


def _modulated(y, mods):
  """By (shift, scale, gate) [b, w]; None: as it is."""
  return adaln.modulate(y, *mods[:2]) if mods else y


def _gated(y, mods):
  return mods[2][:, None] * y if mods else y


class Decoder(nn.Module, kw_only=True):
  """Tokens of an image and a camera as planes and lines.

  Attributes:
    size: width, depth, heads.
    resolution: R, a multiple of `patch`.
    patch: side of a token's patch in cells.
    channels: c.
    frequencies: of the camera's numbers.
    told: even blocks attend to the patches; else all blocks to their own
      tokens, and what is known of the image is its class token.
    modulated: the camera modulates all blocks; else it is told as a patch.
    own_norms: see `Block`.
    rt: execution choices.
  """

  size: sizes.Size
  resolution: int
  patch: int
  channels: int
  frequencies: int = 4
  told: bool = True
  modulated: bool = True
  own_norms: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def side(self) -> int:
    """q."""
    return self.resolution // self.patch

  def positions(self) -> Array:
    """[1, 1 + 3 q q + 3 q, w]: a table of 3 q rows and q + 1 columns.

    It is read in raster order, so it is not aligned with the planes.
    """
    grid = (len(KINDS) * self.side, self.side + 1)
    return posemb.sincos_2d(self.size.width, grid, prefix=1, start=0.5)[None]

  @nn.compact
  def __call__(self, latent: Array, camera: Array) -> dict[str, Array]:
    """A field of tokens [b, 1 + n, w], class token first.

    Args:
      latent: of the image.
      camera: [b, 2] distance from the origin, focal length over height.

    Returns:
      planes [b, 3, R, R, c] and lines [b, 3, R, 1, c], float32.
    """
    size, rt = self.size, self.rt
    x, cond = self._enter(latent), self._camera(camera)
    told = self._told(latent[:, 1:]) if self.told else None
    if not self.modulated:
      told = jnp.concatenate([told, cond[:, None].astype(told.dtype)], axis=1)
    for i in range(size.depth):
      block = Block(
        heads=size.heads,
        mlp_ratio=size.mlp_ratio,
        modulated=self.modulated,
        own_norms=self.own_norms,
        rt=rt,
        name=f"block_{i}",
      )
      x = block(x, cond=cond, told=None if i % 2 else told)
    planes, lines = jnp.split(x[:, 1:], [len(KINDS) * self.side**2], axis=1)
    q, p = self.side, self.patch
    planes = self._heads(planes, "plane", p * p)
    lines = self._heads(lines, "line", p)
    how = dict(p=p, c=self.channels)
    planes = einops.rearrange(
      planes, "b k (h w) (p r c) -> b k (h p) (w r) c", h=q, r=p, **how
    )
    lines = einops.rearrange(lines, "b k h (p c) -> b k (h p) 1 c", **how)
    return {"planes": planes, "lines": lines}

  def _enter(self, latent):
    """[b, t, w]: the class token and those of all patches, with places."""
    shape = (1, 1, self.size.width)
    token = self.param("output_token", nn.initializers.normal(0.02), shape)
    table = jnp.asarray(self.positions(), self.rt.dtype)
    rest = (len(latent), table.shape[1] - 1, shape[-1])
    tokens = jnp.broadcast_to(token.astype(self.rt.dtype), rest)
    cls = latent[:, :1].astype(self.rt.dtype)
    return self.rt.shard(jnp.concatenate([cls, tokens], axis=1) + table)

  def _camera(self, camera):
    """[b, w] of its numbers, through a SiLU if it modulates."""
    camera = camera.astype(jnp.float32)
    seen = waves.waves(camera, self.frequencies, scale=jnp.pi)
    x = jnp.concatenate([camera, seen], axis=-1)
    last = nn.silu if self.modulated else (lambda x: x)
    for name, act in (("camera1", nn.relu), ("camera2", last)):
      layer = dense.dense(
        self.rt, self.size.width, kernel_init=XAVIER, name=name
      )
      x = act(layer(x))
    return x

  def _told(self, patches):
    """Patches [b, n, w] with learned places."""
    shape = (1, *patches.shape[1:])
    places = self.param("places", nn.initializers.normal(0.01), shape)
    return patches + places.astype(patches.dtype)

  def _heads(self, x, name, cells):
    """[b, 3, t, cells * c] float32 of tokens [b, 3 t, w]: a head per kind."""
    x = ACT(norm.layer_norm(self.rt, f"{name}_norm")(x))
    x = einops.rearrange(x, "b (k t) w -> b k t w", k=len(KINDS))
    out = [
      dense.dense(
        self.rt,
        cells * self.channels,
        kernel_init=XAVIER,
        name=f"{name}_{k}",
      )(x[:, k])
      for k in KINDS
    ]
    return jnp.stack(out, axis=1).astype(jnp.float32)


class Colours(nn.Module, kw_only=True):
  """Colour of what a field holds, seen from a direction; float32.

  Attributes:
    width: of both hidden layers.
    frequencies: of the direction.
    rt: execution choices.
  """

  width: int = 64
  frequencies: int = 4
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, features: Array, directions: Array) -> Array:
    """[b, r, s, c] and [b, r, 3] of unit length -> [b, r, s, 3] in 0 .. 1."""
    rt = dataclasses.replace(self.rt, dtype=jnp.float32)
    layer = lambda n, name: dense.dense(rt, n, kernel_init=XAVIER, name=name)
    x = ACT(layer(self.width, "matrix")(ACT(features)))
    seen = [waves.waves(directions, self.frequencies), directions]
    seen = jnp.concatenate(seen, axis=-1)[:, :, None]
    seen = jnp.broadcast_to(seen, (*x.shape[:-1], seen.shape[-1]))
    x = ACT(layer(self.width, "fc1")(jnp.concatenate([x, seen], axis=-1)))
    return jax.nn.sigmoid(layer(3, "fc2")(x))
