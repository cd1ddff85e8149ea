"""What evaluators ask of methods, by the names they know."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.nn import patch as patching

Encode = Callable[..., dict[str, jax.Array]]


def encoder(
  net: nn.Module,
  params: Callable[[method.Weights], method.Tree] = (
    lambda weights: weights.params["main"]["encoder"]
  ),
) -> Encode:
  """`encode` of a network on whole images, nothing masked.

  Args:
    net: a `ViT`, or what is called like one.
    params: its parameters among all weights.

  Returns:
    (weights, batch, taps=()) -> the network's outputs.
  """

  def encode(weights, batch, taps=()):
    variables = {"params": params(weights)}
    return net.apply(variables, batch["image"], taps=taps)

  return encode


def vit(
  encode: Encode,
  grid: tuple[int, int],
  cls: bool = True,
  registers: int = 0,
) -> dict[str, method.Predict]:
  """What evaluators ask of a ViT encoder, for `Method.predict`.

  Args:
    encode: (weights, batch, taps) -> what `ViT` returns without a mask.
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

  def latent(weights, batch):
    return encode(weights, batch, ())["latent"].astype(f32)

  def features(weights, batch, key):
    del key
    return latent(weights, batch)[:, first:].mean(1)

  def tokens(weights, batch, key):
    del key
    return patching.to_grid(latent(weights, batch)[:, first:], grid)

  def layers(weights, batch, key):
    del key
    blocks = encode(weights, batch, ("block",))["block"]
    means = blocks[:, :, first:].astype(f32).mean(2)
    return {f"block_{i + 1:02d}": mean for i, mean in enumerate(means)}

  def attention(weights, batch, key):
    del key
    maps = encode(weights, batch, ("attention",))["attention"]
    return jnp.swapaxes(maps, 0, 1)

  def class_token(weights, batch, key):
    del key
    return latent(weights, batch)[:, 0]

  offered = {
    "features": features,
    "tokens": tokens,
    "layers": layers,
    "attention": attention,
  }
  return offered | ({"cls": class_token} if cls else {})


def neighbours(b: int) -> jax.Array:
  """[b] numbers: 2 i and 2 i + 1 change places; a last one alone stays."""
  own = jnp.arange(b)
  return jnp.where((own ^ 1) < b, own ^ 1, own)
