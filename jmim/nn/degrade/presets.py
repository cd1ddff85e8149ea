"""Named degradations: what is drawn, and what it does to images in 0 .. 1.

A preset has `draw(keys, shape)`, the numbers for clean images of a shape
[b, h, w, c], each [b, ...] under its name; and is called with the images, these
numbers and the factor by which sides shrink. What comes out is in 0 .. 1.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import randomness
from jmim.nn import resize
from jmim.nn.degrade import draws as drawing
from jmim.nn.degrade import jpeg
from jmim.nn.degrade import kernels
from jmim.nn.degrade import noise
from jmim.nn.degrade import resample
from jmim.nn.degrade import second_order

Draws = dict[str, jax.Array]
Pair = tuple[float, float]


def _smaller(image: jax.Array, factor: int, kind: str) -> jax.Array:
  sides = image.shape[1] // factor, image.shape[2] // factor
  return resize.images(image, sides, kind)


def _isotropic(sigma: jax.Array, k: int) -> jax.Array:
  """Round Gaussian kernels of deviations [b], 0: none."""
  wide = jnp.maximum(sigma, 0.05)  # all but the middle is 0
  return kernels.gaussian(jnp.stack([wide] * 2, 1), jnp.zeros_like(wide), k)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unspoilt:
  """The image itself, where missing pixels are all that is wrong with it."""

  shrinks: ClassVar[bool] = False

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """Nothing."""
    del keys, shape
    return {}

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """Of the same size."""
    del draws
    assert factor == 1
    return image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bicubic:
  """MATLAB's reduction, rounded to 8 bits: classical super-resolution."""

  shrinks: ClassVar[bool] = True

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """Nothing."""
    del keys, shape
    return {}

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """[b, h / factor, w / factor, c]."""
    del draws
    return noise.quantise(_smaller(image, factor, "matlab"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Area:
  """A slight blur, means of squares, and noise: small super-resolution."""

  shrinks: ClassVar[bool] = True
  kernel: int = 7
  sigma: Pair = (0.0, 1.0)
  noise: Pair = (0.0, 0.05)

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """blur [b], sigma [b]; noise, of which the corner is used."""
    make = drawing.Drawing(keys, shape)
    make.uniform("blur", *self.sigma)
    make.uniform("sigma", *self.noise)
    make.normal("noise")
    return make.found

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """[b, h / factor, w / factor, c]."""
    image = kernels.apply(image, _isotropic(draws["blur"], self.kernel))
    small = _smaller(image, factor, "area")
    normal = draws["noise"][:, : small.shape[1], : small.shape[2]]
    return jnp.clip(noise.gaussian(small, draws["sigma"], normal), 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
  """Blur along a line, a gain per channel, noise."""

  shrinks: ClassVar[bool] = False
  length: tuple[int, int] = (1, 9)
  gain: Pair = (0.5, 1.5)
  noise: Pair = (0.0, 0.03)

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """length, angle, sigma [b], gain [b, c], noise."""
    make = drawing.Drawing(keys, shape)
    make.whole("length", *self.length)
    make.uniform("angle", 0.0, np.pi)
    make.uniform("gain", *self.gain, shape[-1])
    make.uniform("sigma", *self.noise)
    make.normal("noise")
    return make.found

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """Of the same size."""
    assert factor == 1
    longest = self.length[1] | 1
    kernel = kernels.line(draws["length"], draws["angle"], longest)
    image = noise.gain(kernels.apply(image, kernel), draws["gain"])
    image = noise.gaussian(image, draws["sigma"], draws["noise"])
    return jnp.clip(image, 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowLight:
  """Little light, uneven; shot noise and noise of the sensor."""

  shrinks: ClassVar[bool] = False
  light: Pair = (0.1, 0.3)
  power: Pair = (1.0, 1.8)
  field: Pair = (0.5, 1.5)
  grid: int = 3
  peak: Pair = (30.0, 200.0)
  noise: Pair = (0.0, 0.02)

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """light, power, peak, sigma [b], field [b, 3, 3], shot, noise."""
    make = drawing.Drawing(keys, shape)
    make.uniform("light", *self.light)
    make.uniform("power", *self.power)
    make.uniform("field", *self.field, self.grid, self.grid)
    make.uniform("peak", *self.peak)
    make.normal("shot")
    make.uniform("sigma", *self.noise)
    make.normal("noise")
    return make.found

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """Of the same size."""
    assert factor == 1
    field = noise.smooth_field(draws["field"], image.shape[1:3])
    dark = noise.darkened(image, draws["light"], draws["power"], field)
    dark = noise.poisson(dark, draws["peak"], draws["shot"])
    dark = noise.gaussian(dark, draws["sigma"], draws["noise"])
    return jnp.clip(dark, 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallFace:
  """Blur, a reduction and back, noise, few levels: of faces of 16 or 32 px.

  Attributes:
    kernel: side of the blur [pixels].
    sigma: of the blur [pixels], whatever the size of the face.
    reductions: by which sides shrink before they grow back, equally likely.
    noise: its standard deviation.
    levels: of brightness that are left.
  """

  shrinks: ClassVar[bool] = False
  kernel: int = 25
  sigma: Pair = (0.5, 4.0)
  reductions: tuple[int, ...] = (1, 2, 4, 8)
  noise: Pair = (0.0, 0.15)
  levels: int = 16

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """blur, sigma [b], reduction [b] ints, noise."""
    make = drawing.Drawing(keys, shape)
    make.uniform("blur", *self.sigma)
    make.choice("reduction", (1.0,) * len(self.reductions))
    make.uniform("sigma", *self.noise)
    make.normal("noise")
    return make.found

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """Of the same size."""
    assert factor == 1
    sides = image.shape[1:3]
    image = kernels.apply(image, _isotropic(draws["blur"], self.kernel))
    by = jnp.asarray(self.reductions)[draws["reduction"]]
    smooth = (("smooth",), jnp.zeros_like(by), sides)
    canvas = resample.whole(image)
    small = jnp.maximum(canvas.sides // by[:, None], 1)
    small = resample.resized(canvas, small, *smooth)
    back = resample.resized(small, canvas.sides, *smooth).image
    back = noise.gaussian(back, draws["sigma"], draws["noise"])
    return noise.quantise(back, self.levels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Face:
  """Blur, reduction, noise, JPEG, and back to the size (GFPGAN, DifFace).

  Attributes:
    kernel: side of the blur [pixels].
    sigma: of the blur along each axis [pixels].
    isotropic: share of round blurs.
    reduction: by which sides shrink; below 1 they grow.
    noise: its standard deviation.
    quality: of JPEG.
    grey: share of images without colour.
  """

  shrinks: ClassVar[bool] = False
  kernel: int = 41
  sigma: Pair = (0.1, 15.0)
  isotropic: float = 0.5
  reduction: Pair = (0.8, 32.0)
  noise: Pair = (0.0, 20 / 255)
  quality: Pair = (30.0, 100.0)
  grey: float = 0.01

  def _canvas(self, shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of the largest image on the way."""
    grown = max(1.0, 1 / self.reduction[0])
    return tuple(int(np.ceil(n * grown)) for n in shape[1:3])

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """blur [b, 2], round, angle, reduction, sigma, quality, grey [b], noise."""
    make = drawing.Drawing(keys, shape)
    make.uniform("blur", *self.sigma, 2)
    make.coin("round", self.isotropic)
    make.uniform("angle", -np.pi, np.pi)
    make.uniform("reduction", *self.reduction)
    make.uniform("sigma", *self.noise)
    make.normal("noise", *self._canvas(shape), shape[-1])
    make.uniform("quality", *self.quality)
    make.coin("grey", self.grey)
    return make.found

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """Of the same size."""
    assert factor == 1
    wide = draws["blur"]
    wide = jnp.where(draws["round"][:, None], wide[:, :1], wide)
    kernel = kernels.gaussian(wide, draws["angle"], self.kernel)
    canvas = resample.whole(kernels.apply(image, kernel))
    small = jnp.floor(canvas.sides / draws["reduction"][:, None]).astype(int)
    small = jnp.maximum(small, 1)
    linear = (("bilinear",), jnp.zeros(len(image), int))
    held = self._canvas(image.shape)
    low = resample.resized(canvas, small, *linear, held)
    spoilt = noise.gaussian(low.image, draws["sigma"], draws["noise"])
    low = low._replace(image=jnp.clip(spoilt, 0, 1))
    coded = jpeg.apply(resample.beyond(low, mirrored=False), draws["quality"])
    low = low._replace(image=coded)
    back = resample.resized(low, canvas.sides, *linear, image.shape[1:3]).image
    grey = noise.each(draws["grey"])
    return noise.quantise(jnp.where(grey, noise.grey(back), back))


# Names of `degradation`; the last three are tiers of "face_small".
PRESETS: dict[str, Callable] = {
  "none": Unspoilt(),
  "bicubic": Bicubic(),
  "area": Area(),
  "real_esrgan": second_order.RealESRGAN(),
  "motion": Motion(),
  "low_light": LowLight(),
  "face": Face(),
  "face_small": SmallFace(),
  "face_light": SmallFace(sigma=(0.5, 2.0), reductions=(1, 2)),
  "face_middle": SmallFace(sigma=(1.0, 3.0), reductions=(4,)),
  "face_heavy": SmallFace(sigma=(2.0, 4.0), reductions=(8,)),
}
