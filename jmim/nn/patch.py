"""Images to patches and back, and the linear patch embedding."""

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import dense


def patchify(images: jax.Array, patch: int) -> jax.Array:
  """[b, h*p, w*p, c] -> [b, h*w, p*p*c].

  Patches come in raster order; inside a patch (row, column, channel), the
  channel fastest (MAE, `models_mae.patchify`).

  Raises:
    ValueError: if the image sides are not multiples of `patch`.
  """
  if images.shape[1] % patch or images.shape[2] % patch:
    raise ValueError(f"images {images.shape} do not split into {patch}x{patch}")
  return einops.rearrange(
    images, "b (h p) (w q) c -> b (h w) (p q c)", p=patch, q=patch
  )


def unpatchify(
  patches: jax.Array, patch: int, grid: tuple[int, int] | None = None
) -> jax.Array:
  """[b, h*w, p*p*c] -> [b, h*p, w*p, c]; inverse of `patchify`.

  Args:
    patches: [b, n, p*p*c].
    patch: side p of a patch in pixels.
    grid: (h, w) in patches; None: a square.
  """
  h, w = grid or (round(patches.shape[1] ** 0.5),) * 2
  return einops.rearrange(
    patches, "b (h w) (p q c) -> b (h p) (w q) c", h=h, w=w, p=patch, q=patch
  )


def fold(images: jax.Array, side: int) -> jax.Array:
  """Space to depth: [b, h*p, w*p, c] -> [b, h, w, p*p*c], p = side.

  A permutation; 1 leaves images as they are. The channels are those of
  `patchify`.
  """
  if side == 1:
    return images
  grid = (images.shape[1] // side, images.shape[2] // side)
  return to_grid(patchify(images, side), grid)


def unfold(folded: jax.Array, side: int) -> jax.Array:
  """Inverse of `fold`: [b, h, w, p*p*c] -> [b, h*p, w*p, c], p = side."""
  if side == 1:
    return folded
  grid = folded.shape[1:3]
  tokens = einops.rearrange(folded, "b h w d -> b (h w) d")
  return unpatchify(tokens, side, grid)


def unfolded(shape: tuple[int, int, int], side: int) -> tuple[int, int, int]:
  """[h*p, w*p, c] of images whose `fold` is [h, w, p*p*c].

  Raises:
    ValueError: channels that squares of p x p pixels do not make.
  """
  h, w, c = shape
  if c % side**2:
    raise ValueError(f"channels {c}, but those of squares are {side**2} each")
  return (h * side, w * side, c // side**2)


def to_grid(tokens: jax.Array, grid: tuple[int, int]) -> jax.Array:
  """[b, h*w, d] in raster order -> [b, h, w, d]: tokens as a feature map."""
  h, w = grid
  return einops.rearrange(tokens, "b (h w) d -> b h w d", h=h, w=w)


def pixels(
  tokens: jax.Array, patch: int, grid: tuple[int, int] | None = None
) -> jax.Array:
  """[b, n] values of patches -> [b, h*p, w*p, 1] of their pixels.

  Args:
    tokens: [b, n].
    patch: side p of a patch in pixels.
    grid: (h, w) in patches; None: a square.
  """
  tokens = jnp.repeat(tokens[..., None], patch**2, axis=-1)
  return unpatchify(tokens, patch, grid)


def conv_bias_init(fan_in: int) -> nn.initializers.Initializer:
  """Uniform in +-1/sqrt(fan_in): the bias of a default torch convolution."""
  bound = fan_in**-0.5

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def projection(
  width: int, fan_in: int, rt: runtime.Runtime, bias: bool = True
) -> nn.Dense:
  """The layer `proj` that stands for a convolution with stride = kernel.

  It starts as in MAE: Xavier of the flattened kernel, torch's default bias.

  Args:
    width: of the tokens.
    fan_in: numbers of a patch, p*p*c.
    rt: execution choices.
    bias: has one.
  """
  return dense.dense(
    rt,
    width,
    use_bias=bias,
    kernel_init=nn.initializers.xavier_uniform(),
    bias_init=conv_bias_init(fan_in),
    name="proj",
  )


class PatchEmbed(nn.Module, kw_only=True):
  """Linear map of flattened patches (a convolution with stride = kernel).

  Attributes:
    width: of the tokens.
    patch: side p of a patch in pixels.
    rt: execution choices.
    bias: of the map.
  """

  width: int
  patch: int
  rt: runtime.Runtime = runtime.Runtime()
  bias: bool = True

  @nn.compact
  def __call__(
    self, images: jax.Array, keep: jax.Array | None = None
  ) -> jax.Array:
    """[b, h*p, w*p, c], ids [b, k] or None (all) -> [b, k, width].

    Pixels are gathered, not embeddings: what is hidden costs no product, and
    no gradient is scattered back.
    """
    x = self.rt.shard(patchify(images, self.patch))
    x = x if keep is None else masking.take(x, keep)
    return projection(self.width, x.shape[-1], self.rt, self.bias)(x)
