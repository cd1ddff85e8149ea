r"""An image as light times reflectance plus noise, by unfolded steps.

Zheng et al. 2023 (CUE): gradient steps of 1/2 |I - L R - N|^2 with learned
corrections in place of hand-written priors, the same weights in every stage:

    L = max_c I,  R = I / (L + 1e-8),  N = 0                       stage 1
    L <- mean_c [(1 - a R R) L - a R (N - I)] + M(F(L))            the others
    R <- R' + P(R'),   R' = (1 - b L L) R - b L (N - I)
    N <- N' + Q(N'),   N' = soft(I - R L, 1 / mu)

F is the encoder of a map of light, M three convolutions that end in a sigmoid,
P and Q three layers of 1 x 1. Images NHWC, the arithmetic is in float32.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import coupling
from jmim.nn import resize
from jmim.nn.nets import illumination

EPS = 1e-8


def brightest(images: jax.Array) -> jax.Array:
  """[b, h, w, c] -> [b, h, w, 1] float32, the greatest channel."""
  return images.astype(jnp.float32).max(-1, keepdims=True)


def soft(x: jax.Array, threshold: jax.Array | float) -> jax.Array:
  """sign(x) max(|x| - threshold, 0); any shape."""
  return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0.0)


class Modulation(nn.Module, kw_only=True):
  """Features of light to what is added to a map of it.

  Attributes:
    width: channels in between.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, features: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """[b, h, w, c] -> [b, *sides, 1] float32 in 0 .. 1."""
    layer = lambda width, name: conv.conv3(
      self.rt, width, name, use_bias=False, kernel_init=conv.TORCH
    )
    x = resize.images(features, sides, "corners")
    x = nn.relu(layer(self.width, "conv0")(x))
    x = nn.relu(layer(self.width, "conv1")(x))
    return nn.sigmoid(layer(1, "conv2")(x).astype(jnp.float32))


class Correction(nn.Module, kw_only=True):
  """A learned step: x + three layers of 1 x 1 without biases.

  Attributes:
    width: channels in between.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] float32 -> the same."""
    layer = lambda width, name: conv.conv1(self.rt, width, name, bias=False)
    y = coupling.leaky(layer(self.width, "conv0")(x), 0.2)
    y = coupling.leaky(layer(self.width, "conv1")(y), 0.2)
    return x + layer(x.shape[-1], "conv2")(y).astype(jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """How many steps, how large, and how wide what is learned."""

  stage: int = field.value(3, "the start and the steps after it", low=2)
  width: int = field.value(32, "channels of modulation and corrections", low=1)
  prior_width: int = field.value(6, "channels of the prior of light", low=1)
  alpha: float = field.value(1e-3, "step size of the light", low=0.0)
  beta: float = field.value(1e-3, "step size of the reflectance", low=0.0)
  mu: float = field.value(10.0, "1 / threshold of the noise at first", above=0)
  modulate: bool = field.value(True, "steps are told by the prior of light")

  def net(self, rt: runtime.Runtime) -> "Unfolding":
    """The network."""
    return Unfolding(dims=self, rt=rt)


class Unfolding(nn.Module, kw_only=True):
  """The steps; see the module docstring.

  Attributes:
    dims: numbers of the steps.
    rt: execution choices.
  """

  dims: Dims
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
    """Images [b, h, w, c] in 0 .. 1, sides at least 4.

    Returns:
      light [b, h, w, 1], reflectance and noise [b, h, w, c]; and stepped
      [b, h, w, c], the light of the last stage before the mean; float32.
    """
    dims, image = self.dims, images.astype(jnp.float32)
    light = stepped = brightest(image)
    reflectance, noise = image / (light + EPS), jnp.zeros_like(image)
    mu = self.param("mu", nn.initializers.constant(dims.mu), (1,))
    step_r, step_n = (
      Correction(width=dims.width, rt=self.rt, name=name)
      for name in ("reflectance", "noise")
    )
    added = self._modulation()
    for _ in range(dims.stage - 1):
      residual = noise - image
      stepped = (1 - dims.alpha * reflectance**2) * light
      stepped = stepped - dims.alpha * reflectance * residual
      light = stepped.mean(-1, keepdims=True) + added(light)
      moved = (1 - dims.beta * light**2) * reflectance
      reflectance = step_r(moved - dims.beta * light * residual)
      noise = step_n(soft(image - reflectance * light, 1 / mu))
    return {
      "light": light,
      "reflectance": reflectance,
      "noise": noise,
      "stepped": stepped,
    }

  def _modulation(self):
    """What a map of light [b, h, w, 1] is told by the prior of it."""
    if not self.dims.modulate:
      return lambda light: 0.0
    encoder = illumination.Encoder(
      width=self.dims.prior_width, rt=self.rt, name="prior"
    )
    modulation = Modulation(
      width=self.dims.width, rt=self.rt, name="modulation"
    )
    return lambda light: modulation(encoder(light)[0], light.shape[1:3])
