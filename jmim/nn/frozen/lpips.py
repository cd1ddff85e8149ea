"""Perceptual distances: frozen convolutional features, compared layer by layer.

    LPIPS = sum over layers of mean over places of w . (u - u')^2,
            u the features of a layer, of length 1 at each place

Zhang et al. 2018, v0.1. Weights are the user's, under torchvision's names:
"features.<i>.weight" [out, in, h, w] and ".bias" of the network, and
"lin<k>.model.1.weight" [1, c, 1, 1] of layer k. `small` is our own network of
the same kind, for where there are no weights to be had.
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import jax
import jax.numpy as jnp

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
  """One convolution with its ReLU.

  Attributes:
    index: number of the convolution in torchvision's `features`.
    width: of its output.
    side: of the kernel.
    stride: of the convolution.
    padding: pixels on every side.
    pool: side of the maximum taken before, at stride 2; 0: none.
    tap: whether its output is compared.
  """

  index: int
  width: int
  side: int = 3
  stride: int = 1
  padding: int = 1
  pool: int = 0
  tap: bool = True


ALEX = (
  Layer(index=0, width=64, side=11, stride=4, padding=2),
  Layer(index=3, width=192, side=5, stride=1, padding=2, pool=3),
  Layer(index=6, width=384, pool=3),
  Layer(index=8, width=256),
  Layer(index=10, width=256),
)


def vgg(stages: Sequence[tuple[int, int]]) -> tuple[Layer, ...]:
  """Layers of a VGG; the last of each stage is compared.

  Args:
    stages: (width, convolutions) of each.
  """
  layers, index = [], 0
  for width, n in stages:
    for i in range(n):
      pool = 2 if layers and i == 0 else 0
      index += pool // 2  # the pooling has a number of its own
      layers.append(Layer(index=index, width=width, pool=pool, tap=i == n - 1))
      index += 2
  return tuple(layers)


VGG16 = vgg(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)))
VGG19 = vgg(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)))


def small(width: int, stages: int = 3) -> tuple[Layer, ...]:
  """Of a VGG with one convolution per stage, the width doubling."""
  return vgg([(width * 2**i, 1) for i in range(stages)])


def features(
  layers: Sequence[Layer],
  p: Mapping[str, jax.Array],
  x: jax.Array,
  linear: bool = False,
) -> list[jax.Array]:
  """Outputs [b, h, w, c] of the layers with `tap`, which are compared.

  Args:
    layers: of the network.
    p: its arrays by torchvision's names.
    x: [b, h, w, c], shifted and scaled as the network wants it.
    linear: what the convolutions give, before their ReLU.
  """
  taps = []
  for layer in layers:
    if layer.pool:
      x = pooled(x, layer.pool)
    x = jax.lax.conv_general_dilated(
      x,
      p[f"features.{layer.index}.weight"],
      (layer.stride,) * 2,
      [(layer.padding,) * 2] * 2,
      dimension_numbers=("NHWC", "OIHW", "NHWC"),
      precision="highest",
    )
    y = x + p[f"features.{layer.index}.bias"]
    x = jax.nn.relu(y)
    if layer.tap:
      taps.append(y if linear else x)
  return taps


def pooled(x: jax.Array, side: int = 2) -> jax.Array:
  """Maxima over squares of that side of [b, h, w, c], every second one."""
  window = (1, side, side, 1)
  return jax.lax.reduce_window(
    x, -jnp.inf, jax.lax.max, window, (1, 2, 2, 1), "VALID"
  )


def layer_distance(u: jax.Array, v: jax.Array, weight: jax.Array) -> jax.Array:
  """[b]: mean over places of weight . (difference of unit vectors)^2.

  Args:
    u: [b, h, w, c] features.
    v: the same of the other image.
    weight: [c], not negative.
  """

  # The gradient of the norm at 0, nan, is taken as 0: where all features of a
  # place are 0, that of `unit` is finite, and no ReLU passes it on.
  def unit(x):
    square = (x**2).sum(-1, keepdims=True)
    positive = square > 0
    root = jnp.sqrt(jnp.where(positive, square, 1.0))
    norm = jnp.where(positive, root, 0.0)
    return x / (norm + 1e-10)

  return ((unit(u) - unit(v)) ** 2 @ weight).mean((1, 2))


def normalise(images: jax.Array) -> jax.Array:
  """Images [b, h, w, 3] in -1 .. 1 as the networks read them."""
  return (images - jnp.asarray(SHIFT)) / jnp.asarray(SCALE)


def distance(
  layers: Sequence[Layer],
  p: Mapping[str, jax.Array],
  a: jax.Array,
  b: jax.Array,
) -> jax.Array:
  """[b] distances of images [b, h, w, 3] in -1 .. 1.

  Without "lin<k>" arrays all channels of a layer weigh alike (their mean).
  """
  pairs = zip(*(features(layers, p, normalise(x)) for x in (a, b)), strict=True)
  total = 0.0
  for k, (u, v) in enumerate(pairs):
    name, c = f"lin{k}.model.1.weight", u.shape[-1]
    weight = p[name][0, :, 0, 0] if name in p else jnp.full(c, 1 / c)
    total += layer_distance(u, v, weight)
  return total


def random(
  key: jax.Array, layers: Sequence[Layer], channels: int = 3, lin: bool = True
) -> dict[str, jax.Array]:
  """Arrays of a network with random weights.

  Args:
    key: of the weights.
    layers: of the network.
    channels: of the images.
    lin: with weights of the channels, ~ U[0, 1).
  """
  arrays: dict[str, jax.Array] = {}
  taps = 0
  for layer in layers:
    key, k_conv, k_lin = jax.random.split(key, 3)
    shape = (layer.width, channels, layer.side, layer.side)
    init = jax.nn.initializers.he_normal(in_axis=1, out_axis=0)
    arrays[f"features.{layer.index}.weight"] = init(k_conv, shape)
    arrays[f"features.{layer.index}.bias"] = jnp.zeros(layer.width)
    if layer.tap and lin:
      weight = jax.random.uniform(k_lin, (1, layer.width, 1, 1))
      arrays[f"lin{taps}.model.1.weight"] = weight
    taps, channels = taps + layer.tap, layer.width
  return arrays
