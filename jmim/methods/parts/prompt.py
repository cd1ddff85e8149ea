"""A UNet that is always told the same: one time, and the features of a prompt.

Diffusion models as starting points of one-step predictors are run so: at a
constant time, with what their text encoder makes of "".
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.nn import unet as layers
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
  """What the network is told, and the network run with it."""

  time: int = field.value(1, "time that every pass is told", low=0)
  transformer: int = field.value(
    1, "blocks of cross-attention to the prompt; 0: self-attention", low=0
  )
  context: int = field.value(1024, "width of the prompt", low=1)
  tokens: int = field.value(77, "vectors of the prompt", low=1)
  path: str = field.value(
    "", "features of no text, an .npz of `context` [tokens, context]; '': zeros"
  )

  def consts(self) -> dict[str, method.Const]:
    """The features, unless they are zeros."""
    if not (self.path and self.transformer):
      return {}
    shape = (self.tokens, self.context)
    init = lambda key: {"context": jax.random.normal(key, shape)}
    return {"prompt": method.Const(self.path, init, key="method.prompt.path")}

  def vectors(self, weights: method.Weights, b: int) -> jax.Array | None:
    """[b, tokens, context] for the network; None: it reads none."""
    if not self.transformer:
      return None
    zeros = {"context": jnp.zeros((self.tokens, self.context))}
    one = weights.consts.get("prompt", zeros)["context"]
    return jnp.broadcast_to(one, (b, *one.shape))

  def init(self, key: jax.Array, net: unet.UNet, x: jax.Array) -> Any:
    """Parameters of a network that reads images like x [1, h, w, c]."""
    context = self.vectors(method.Weights({}), len(x))
    return net.init(key, x, jnp.zeros(len(x)), context=context)["params"]

  def run(
    self, weights: method.Weights, net: unet.UNet, x: jax.Array, **options: Any
  ) -> tuple[jax.Array, layers.Taps]:
    """One pass of [b, h, w, c].

    Args:
      weights: of a method whose player "main" has the network as "net".
      net: the network.
      x: [b, h, w, c].
      **options: of `UNet.tapped`.

    Returns:
      prediction [b, h, w, c'] and taps.
    """
    context, t = self.vectors(weights, len(x)), jnp.full(len(x), self.time)
    params = {"params": weights.params["main"]["net"]}
    return net.apply(params, x, t, context=context, method="tapped", **options)
