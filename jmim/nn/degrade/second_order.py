"""Real-ESRGAN's degradation: blur, resize, noise and JPEG, twice over.

Wang et al. 2021 (arXiv 2107.10833), with the ranges of ResShift and TAD-SR,
where the second round is left out for half of the images:

    y1 = JPEG(resize(k1 * x) + n1);   y2 = resize(k2 * y1) + n2
    half of the images end with resize, sinc, JPEG, the others with JPEG,
    resize, sinc: all are coded twice

Sizes on the way are drawn; images lie in the corner of arrays that hold the
largest (`resample.Canvas`). Ours: places of pixels follow from whole sizes.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import randomness
from jmim.nn.degrade import draws as drawing
from jmim.nn.degrade import jpeg
from jmim.nn.degrade import kernels
from jmim.nn.degrade import noise
from jmim.nn.degrade import resample

Draws = dict[str, jax.Array]
Pair = tuple[float, float]

_KINDS = ("area", "bilinear", "bicubic")
_LEAST = 7  # side of the smallest kernel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
  """One round: its ranges.

  Attributes:
    blurs: share of images that are blurred.
    kernel: greatest side of the blur; sides are odd, from 7.
    sinc: share of blurs that are low passes.
    sigma: deviations of the blur along its axes [pixels].
    shapes: shares of Gaussian, generalised Gaussian and plateau.
    round: of each of these, the share of round ones.
    general: exponent of the generalised Gaussian.
    plateau: exponent of the plateau.
    ways: shares of images that grow, shrink, stay.
    resize: factors of sides.
    gaussian: share of images with Gaussian noise; else Poisson noise.
    noise: deviation of Gaussian noise.
    shot: strength of Poisson noise.
    grey: share of images whose noise is grey.
    quality: of the JPEG that follows.
  """

  blurs: float = 1.0
  kernel: int = 21
  sinc: float = 0.1
  sigma: Pair = (0.2, 3.0)
  shapes: tuple[float, ...] = (0.70, 0.15, 0.15)
  round: tuple[float, ...] = (0.45 / 0.70, 0.12 / 0.15, 0.12 / 0.15)
  general: Pair = (0.5, 4.0)
  plateau: Pair = (1.0, 2.0)
  ways: tuple[float, ...] = (0.2, 0.7, 0.1)
  resize: Pair = (0.15, 1.5)
  gaussian: float = 0.5
  noise: Pair = (1 / 255, 30 / 255)
  shot: Pair = (0.05, 3.0)
  grey: float = 0.4
  quality: Pair = (30.0, 95.0)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...], name: str
  ) -> Draws:
    """All numbers of a round; shape: [b, H, W, c] of the canvas."""
    make = drawing.Drawing(lambda own: keys(f"{name}.{own}"), shape)
    make.coin("blurs", self.blurs)
    make.whole("kernel", _LEAST // 2, self.kernel // 2)
    make.coin("sinc", self.sinc)
    make.uniform("cutoff", 0.0, 1.0)
    make.choice("shape", self.shapes)
    make.uniform("round", 0.0, 1.0)
    make.uniform("blur", *self.sigma, 2)
    make.uniform("angle", -np.pi, np.pi)
    make.coin("flatter", 0.5)
    make.uniform("exponent", 0.0, 1.0)
    make.choice("way", self.ways)
    make.uniform("size", 0.0, 1.0)
    make.whole("resize", 0, len(_KINDS) - 1)
    make.coin("gaussian", self.gaussian)
    make.uniform("sigma", *self.noise)
    make.uniform("strength", *self.shot)
    make.coin("grey", self.grey)
    make.normal("noise")
    make.uniform("quality", *self.quality)
    return make.found

  def blur(self, draws: Draws) -> jax.Array:
    """[b, k, k] kernels; of images that are not blurred a single 1."""
    side = 2 * draws["kernel"] + 1
    shape, angle, k = draws["shape"], draws["angle"], self.kernel
    wide = draws["blur"]
    alike = draws["round"] < jnp.asarray(self.round)[shape]
    wide = jnp.where(alike[:, None], wide[:, :1], wide)
    power = lambda ends: _around_one(ends, draws["flatter"], draws["exponent"])
    general = jnp.where(shape == 1, power(self.general), 1.0)
    choice = noise.each(shape)[..., 0]
    made = jnp.where(
      choice == 2,
      kernels.plateau(wide, angle, k, power(self.plateau)),
      kernels.gaussian(wide, angle, k, general),
    )
    least = jnp.where(side < 13, np.pi / 3, np.pi / 5)
    low = kernels.sinc(least + (np.pi - least) * draws["cutoff"], k)
    made = jnp.where(noise.each(draws["sinc"])[..., 0], low, made)
    still = np.zeros((k, k), np.float32)
    still[k // 2, k // 2] = 1.0
    blurs = noise.each(draws["blurs"])[..., 0]
    return jnp.where(blurs, kernels.cut(made, side), still)

  def blurred(self, canvas: resample.Canvas, draws: Draws) -> resample.Canvas:
    """Images that end at their own border, not at that of the canvas."""
    h, w = canvas.image.shape[1:3]
    r = self.kernel // 2
    more = jnp.pad(canvas.image, ((0, 0), (0, r), (0, r), (0, 0)))
    filled = resample.beyond(canvas._replace(image=more), mirrored=True)
    made = kernels.apply(filled, self.blur(draws))
    return canvas._replace(image=made[:, :h, :w])

  def factor(self, draws: Draws) -> jax.Array:
    """[b] by which sides change."""
    (low, high), share = self.resize, draws["size"]
    grown, shrunk = 1 + (high - 1) * share, low + (1 - low) * share
    way = draws["way"]
    return jnp.where(way == 0, grown, jnp.where(way == 1, shrunk, 1.0))

  def __call__(
    self, canvas: resample.Canvas, sides: jax.Array, draws: Draws
  ) -> resample.Canvas:
    """Of sides [b, 2], blurred and noisy; the canvas stays as large."""
    canvas, held = self.blurred(canvas, draws), canvas.image.shape[1:3]
    canvas = resample.resized(
      canvas, sides, _KINDS, which=draws["resize"], shape=held
    )
    image = self.noisy(canvas.image, draws)
    return canvas._replace(image=jnp.clip(image, 0, 1))

  def noisy(self, image: jax.Array, draws: Draws) -> jax.Array:
    """With Gaussian or Poisson noise."""
    normal, grey = draws["noise"], draws["grey"]
    one = noise.gaussian(image, draws["sigma"], normal, alike=grey)
    levels = noise.quantise(image)
    peak = jnp.exp2(jnp.ceil(jnp.log2(levels_used(levels))))
    shot = noise.poisson(levels, peak, normal, draws["strength"], alike=grey)
    # The noise is that of rounded levels, the image is not rounded.
    other = image + shot - levels
    return jnp.where(noise.each(draws["gaussian"]), one, other)


def _around_one(ends: Pair, above: jax.Array, share: jax.Array) -> jax.Array:
  """Between 1 and the upper end, or between the lower end and 1."""
  low, high = ends
  return jnp.where(above, 1 + (high - 1) * share, low + (1 - low) * share)


def levels_used(image: jax.Array) -> jax.Array:
  """[b] how many of 256 levels of brightness occur in [b, ...] in 0 .. 1."""
  level = jnp.round(image.reshape(len(image), -1) * 255).astype(int)
  seen = jnp.zeros((len(image), 256), bool)
  seen = seen.at[jnp.arange(len(image))[:, None], level].set(True)
  return seen.sum(1).astype(jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealESRGAN:
  """Both rounds and the end.

  Attributes:
    first: round.
    second: round; its JPEG is the last one, of all images.
    twice: share of images that go through both.
    kernel: greatest side of the last low pass.
    sinc: share of images with it.
  """

  shrinks: ClassVar[bool] = True
  first: Round = Round()
  second: Round = Round(
    blurs=0.8,
    kernel=15,
    sigma=(0.2, 1.5),
    ways=(0.3, 0.4, 0.3),
    resize=(0.3, 1.2),
    noise=(1 / 255, 25 / 255),
    shot=(0.05, 2.5),
  )
  twice: float = 0.5
  kernel: int = 21
  sinc: float = 0.8

  def _canvas(self, shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of the largest image on the way."""
    grown = max(self.first.resize[1], self.second.resize[1])
    return tuple(int(np.ceil(n * grown)) for n in shape[1:3])

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> Draws:
    """Those of both rounds, "first" and "second", and of the end."""
    canvas = (shape[0], *self._canvas(shape), shape[-1])
    make = drawing.Drawing(keys, canvas)
    make.coin("twice", self.twice)
    make.whole("kernel", _LEAST // 2, self.kernel // 2)
    make.coin("sinc", self.sinc)
    make.uniform("cutoff", np.pi / 3, np.pi)
    make.whole("resize", 0, len(_KINDS) - 1)
    make.coin("jpeg_last", 0.5)
    rounds = {"first": self.first, "second": self.second}
    more = {name: r.draw(keys, canvas, name) for name, r in rounds.items()}
    return make.found | more

  def __call__(self, image: jax.Array, draws: Draws, factor: int) -> jax.Array:
    """[b, h / factor, w / factor, c]."""
    h, w = image.shape[1:3]
    final = (h // factor, w // factor)
    wide = self._canvas(image.shape)
    more = [(0, wide[0] - h), (0, wide[1] - w)]
    held = jnp.pad(image, ((0, 0), *more, (0, 0)), mode="edge")
    canvas = resample.whole(image)._replace(image=held)

    own = draws["first"]
    sides = _sides((h, w), self.first.factor(own))
    once = _coded(self.first(canvas, sides, own), own["quality"])
    own = draws["second"]
    sides = _sides(final, self.second.factor(own))
    again = self.second(once, sides, own)
    both = noise.each(draws["twice"])
    canvas = resample.Canvas(
      jnp.where(both, again.image, once.image),
      jnp.where(draws["twice"][:, None], again.sides, once.sides),
    )
    return self.last(canvas, final, draws)

  def last(
    self, canvas: resample.Canvas, final: tuple[int, int], draws: Draws
  ) -> jax.Array:
    """The last size, low pass and JPEG, in either order; 8 bits."""
    ends = jnp.broadcast_to(jnp.asarray(final), canvas.sides.shape)
    kernel = kernels.sinc(draws["cutoff"], self.kernel)
    kernel = kernels.cut(kernel, 2 * draws["kernel"] + 1)
    passes, quality = noise.each(draws["sinc"]), draws["second"]["quality"]

    def shrunk(canvas):
      kinds = (_KINDS, draws["resize"], final)
      image = resample.resized(canvas, ends, *kinds).image
      made = jnp.where(passes, kernels.apply(image, kernel), image)
      return jnp.clip(made, 0, 1)

    coded = jpeg.apply(shrunk(canvas), quality)
    first = shrunk(_coded(canvas, quality))
    made = jnp.where(noise.each(draws["jpeg_last"]), coded, first)
    return noise.quantise(made)


def _coded(canvas: resample.Canvas, quality: jax.Array) -> resample.Canvas:
  """Images written as JPEG at their own sizes, and read back."""
  filled = resample.beyond(canvas, mirrored=False)
  return canvas._replace(image=jpeg.apply(filled, quality))


def _sides(sides: tuple[int, int], factor: jax.Array) -> jax.Array:
  """[b, 2] whole sides, at least 1, times factors [b]."""
  made = jnp.floor(jnp.asarray(sides) * factor[:, None] + 1e-4)
  return jnp.maximum(made.astype(int), 1)
