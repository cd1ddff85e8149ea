"""Scenes of regions with textures, antialiased, and which region a pixel is of.

Random sites cut the picture into cells, each pixel belonging to the nearest;
some ellipses lie on top. Every region has a colour and one of four textures,
whose stripes are a few pixels wide at any size of the picture.

Made for SAM-DiffSR (Wang et al. 2024), whose masks of segments these are.
"""

import dataclasses

import numpy as np

from jmim.data.procedural import drawing

TEXTURES = ("flat", "striped", "checked", "noisy")
SAMPLES = 4  # per pixel and axis
GRAIN = 0.1 * 255  # standard deviation of the noisy texture
CONTRAST = 0.18  # by which both parts of a pattern differ from the colour


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paint:
  """How a region looks.

  Attributes:
    texture: index in TEXTURES.
    colour: levels, 0 .. 255.
    angle: of stripes and squares [radians].
    period: of stripes, a light and a dark one [pixels].
  """

  texture: int
  colour: tuple[float, float, float]
  angle: float
  period: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
  """Regions from back to front; places in pixels.

  Attributes:
    sites: [n, 2] (y, x) of the cells.
    ellipses: [m, 5] y, x, two half axes, angle [radians].
    paints: of the cells, then of the ellipses.
  """

  sites: np.ndarray
  ellipses: np.ndarray
  paints: tuple[Paint, ...]


def draw(size: int, rng: np.random.Generator) -> Scene:
  """A random scene: 6 to 12 cells at 48 px, half as many at 24 px."""
  fewest = round(size / 8)
  cells = int(rng.integers(fewest, 2 * fewest + 1))
  count = int(rng.integers(0, 4))
  low = [0.15 * size, 0.15 * size, 0.08 * size, 0.08 * size, 0]
  high = [0.85 * size, 0.85 * size, 0.2 * size, 0.2 * size, np.pi]
  return Scene(
    sites=rng.uniform(0, size, (cells, 2)),
    ellipses=rng.uniform(low, high, (count, 5)),
    paints=tuple(_paint(rng) for _ in range(cells + count)),
  )


def _paint(rng: np.random.Generator) -> Paint:
  return Paint(
    texture=int(rng.integers(len(TEXTURES))),
    colour=tuple(rng.uniform(40, 215, 3)),
    angle=rng.uniform(0, np.pi),
    period=rng.uniform(3, 6),
  )


def instance(scene: Scene, y: np.ndarray, x: np.ndarray) -> np.ndarray:
  """uint8 number of the region at points, from 1, of the shape of y and x."""
  sites = scene.sites
  far = (y - sites[:, 0, None, None]) ** 2 + (x - sites[:, 1, None, None]) ** 2
  found = 1 + far.argmin(0)
  for number, row in enumerate(scene.ellipses, 1 + len(sites)):
    v, u = y - row[0], x - row[1]
    c, s = np.cos(row[4]), np.sin(row[4])
    along, across = (c * u + s * v) / row[2], (c * v - s * u) / row[3]
    found = np.where(along**2 + across**2 < 1, number, found)
  return found.astype(np.uint8)


def _pattern(paint: Paint, y: np.ndarray, x: np.ndarray) -> np.ndarray:
  """What the colour is multiplied by at points."""
  c, s = np.cos(paint.angle), np.sin(paint.angle)
  stripe = np.floor(2 * (c * x + s * y) / paint.period)
  row = np.floor(2 * (c * y - s * x) / paint.period)
  odd = {
    "striped": stripe % 2,
    "checked": (stripe + row) % 2,
  }.get(TEXTURES[paint.texture])
  return np.ones_like(x) if odd is None else 1 + CONTRAST * (1 - 2 * odd)


def render(
  scene: Scene, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """float32 [size, size, 3] in 0 .. 255, and uint8 [size, size] regions.

  A pixel is the mean over its area; its region is that of its middle.

  Args:
    scene: what is drawn.
    size: side [pixels].
    rng: of the noisy texture.
  """
  at = (np.arange(size * SAMPLES) + 0.5) / SAMPLES
  y, x = np.meshgrid(at, at, indexing="ij")
  fine = instance(scene, y, x)
  image, grain = np.zeros((*y.shape, 3)), np.zeros(y.shape)
  for number, paint in enumerate(scene.paints, 1):
    inside = fine == number
    pattern = _pattern(paint, y[inside], x[inside])
    image[inside] = pattern[:, None] * np.array(paint.colour)
    grain[inside] = GRAIN * (TEXTURES[paint.texture] == "noisy")
  pixels = drawing.means(image, SAMPLES)
  # Noise of single samples would be gone in their mean.
  grain = drawing.means(grain, SAMPLES)[..., None]
  pixels = pixels + grain * rng.standard_normal(pixels.shape)
  at = np.arange(size) + 0.5
  ids = instance(scene, *np.meshgrid(at, at, indexing="ij"))
  return pixels.astype(np.float32), ids
