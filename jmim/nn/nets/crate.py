"""Encoder in which hidden patches stay in line (Pai et al. 2024, CRATE-MAE)."""

import types
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import norm
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack

# Pai et al. 2024; encoder and decoder are equally deep.
SIZES = types.MappingProxyType(
  {
    "Ti": sizes.Size(width=384, depth=12, heads=6),
    "S": sizes.Size(width=576, depth=12, heads=12),
    "B": sizes.Size(width=768, depth=12, heads=12),
    "L": sizes.Size(width=1024, depth=24, heads=16),
  }
)


class Encoder(nn.Module, kw_only=True):
  """All tokens, a learned one in place of each hidden patch, through blocks.

  One fixed sin-cos table is added, here and nowhere else.

  Attributes:
    size: width and depth.
    patch: side of a patch in pixels.
    grid: (h, w) in patches.
    make: returns a fresh, unbound block, as `stack.Stack` wants it.
    order: of the sin-cos table, see `posemb.sincos_2d`.
    rt: execution choices.
  """

  size: sizes.Size
  patch: int
  grid: tuple[int, int]
  make: Callable[[], nn.Module]
  order: str = "xy"
  rt: runtime.Runtime = runtime.Runtime()

  @property
  def cls(self) -> bool:
    """Whether the first token is a class token: it always is."""
    return True

  @nn.compact
  def __call__(
    self,
    images: jax.Array,
    *,
    replaced: jax.Array | None = None,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """Encodes all patches of [b, h*p, w*p, c] images.

    Args:
      images: normalised float images.
      replaced: [b, n], 1 where the mask token stands for the patch; None:
        nowhere.
      taps: per-block outputs to return as well, those of the blocks.

    Returns:
      embedded: [b, 1 + n, w] what enters the first block, cls first.
      latent: [b, 1 + n, w] after the final norm.
      and each tap: [blocks, ...].
    """
    width, dtype = self.size.width, self.rt.dtype
    x = patching.PatchEmbed(
      width=width, patch=self.patch, rt=self.rt, name="patch_embed"
    )(images)
    init, shape = nn.initializers.normal(0.02), (1, 1, width)
    cls, token = (
      self.param(n, init, shape).astype(dtype)
      for n in ("cls_token", "mask_token")
    )
    if replaced is not None:
      x = jnp.where(replaced[..., None] > 0, token, x)
    x = jnp.concatenate([jnp.broadcast_to(cls, (len(x), 1, width)), x], axis=1)
    table = posemb.sincos_2d(width, self.grid, self.order, prefix=1)
    embedded = self.rt.shard(x + jnp.asarray(table, dtype))
    x, t, valid = embedded, embedded.shape[1], None
    if not taps:  # taps have the shape of the tokens before filling up
      x, valid = masking.fill_up(x, None, self.rt.pad_tokens)
    seen = {} if valid is None else {"mask": valid}
    layers = stack.Stack(self.make, self.size.depth, self.rt, name="blocks")
    x, tapped = layers(x, taps=taps, **seen)
    x = norm.layer_norm(self.rt, "norm")(x[:, :t])
    return {"embedded": embedded, "latent": x, **tapped}
