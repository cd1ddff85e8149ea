"""What evaluators ask of an encoder, by the names they know."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.nn import patch as patching


def vit(
  encode: Callable[..., dict[str, jax.Array]],
  grid: tuple[int, int],
  cls: bool = True,
  registers: int = 0,
) -> dict[str, Callable]:
  """What evaluators ask of a ViT encoder, for `Method.predict`.

  Args:
    encode: (params, batch, taps) -> what `ViT` returns without a mask.
    grid: (h, w) in patches.
    cls: the first token is a class token.
    registers: tokens between it and the patches.

  Returns:
    features [b, w]: mean of the patch tokens; cls [b, w]; tokens
    [b, h, w, d]; layers: {"block_01": [b, w], ...}, the same mean after each
    block, before the final norm; attention [b, layers, heads, t, t], with the
    cls token as token 0. All float32.
  """
  first, f32 = int(cls) + registers, jnp.float32

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
