"""Scenes that can be rendered at any size: forms over a linear gradient.

A scene is a list of numbers in units of its own side. Edges are soft, over
EDGE of the side, and a pixel is the mean over its area: so a picture of any
size is right, and one whose side divides FINEST is exactly the reduction by
area of every larger one that it divides and that divides FINEST.

    d     = distance to the edge, negative inside
    cover = s^2 (3 - 2 s),  s = clip(1/2 - d / EDGE, 0, 1)

Made for decoders of arbitrary scale (Kim & Kim 2024).
"""

import dataclasses
import math

import numpy as np

from jmim.data.procedural import drawing

FORMS = ("disc", "rectangle", "triangle", "hexagon")
MOST = 5  # forms in a scene
SHAPE = (1 + MOST, 9)  # of the numbers of a scene
EDGE = 1 / 48
FINEST = 384  # samples along a side, at least


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
  """One form of one colour; lengths in sides of the picture.

  Attributes:
    kind: index in FORMS.
    colour: three levels, 0 .. 255.
    centre: (y, x).
    radius: of the circle that it fits into.
    angle: by which it is turned, in radians.
    aspect: short side of a rectangle over the long one.
  """

  kind: int
  colour: tuple[float, float, float]
  centre: tuple[float, float]
  radius: float
  angle: float
  aspect: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
  """A gradient, and the forms on it.

  Attributes:
    start: colour at one edge, 0 .. 255.
    end: at the opposite one.
    angle: direction of the gradient, in radians.
    forms: from back to front.
  """

  start: tuple[float, float, float]
  end: tuple[float, float, float]
  angle: float
  forms: tuple[Form, ...]


def draw(rng: np.random.Generator) -> Scene:
  """A random scene of two to MOST forms; all numbers are float32."""
  count = int(rng.integers(2, MOST + 1))
  return Scene(
    start=_exact(rng.uniform(30, 240, 3)),
    end=_exact(rng.uniform(30, 240, 3)),
    angle=_exact(rng.uniform(0, 2 * np.pi)),
    forms=tuple(_form(rng) for _ in range(count)),
  )


def _form(rng: np.random.Generator) -> Form:
  return Form(
    kind=int(rng.integers(len(FORMS))),
    colour=_exact(rng.uniform(30, 240, 3)),
    centre=_exact(rng.uniform(0.15, 0.85, 2)),
    radius=_exact(rng.uniform(0.12, 0.28)),
    angle=_exact(rng.uniform(0, 2 * np.pi)),
    aspect=_exact(rng.uniform(0.4, 0.9)),
  )


def _exact(value: np.ndarray | float) -> tuple[float, ...] | float:
  """The nearest float32, as Python numbers."""
  rounded = np.float32(value).tolist()
  return tuple(rounded) if isinstance(rounded, list) else rounded


def pack(scene: Scene) -> np.ndarray:
  """float32 SHAPE: the ground, then forms; absent ones are 0."""
  rows = np.zeros(SHAPE, np.float32)
  rows[0] = *scene.start, *scene.end, scene.angle, len(scene.forms), 0
  for row, form in zip(rows[1:], scene.forms, strict=False):
    shape = (form.radius, form.angle, form.aspect)
    row[:] = form.kind, *form.colour, *form.centre, *shape
  return rows


def unpack(rows: np.ndarray) -> Scene:
  """The scene of which `pack` made the numbers."""
  rows = np.asarray(rows, np.float32).tolist()
  ground, count = rows[0], int(rows[0][7])
  forms = [
    Form(
      kind=int(row[0]),
      colour=tuple(row[1:4]),
      centre=tuple(row[4:6]),
      radius=row[6],
      angle=row[7],
      aspect=row[8],
    )
    for row in rows[1 : 1 + count]
  ]
  return Scene(
    start=tuple(ground[:3]),
    end=tuple(ground[3:6]),
    angle=ground[6],
    forms=tuple(forms),
  )


def distance(form: Form, y: np.ndarray, x: np.ndarray) -> np.ndarray:
  """Signed distance to the edge, negative inside; near corners less than it.

  Args:
    form: the form.
    y: of points, any shape.
    x: of points, broadcast with y.
  """
  v, u = y - form.centre[0], x - form.centre[1]
  kind, r = FORMS[form.kind], form.radius
  if kind == "disc":
    return np.hypot(v, u) - r
  corners = {"rectangle": 4, "triangle": 3, "hexagon": 6}[kind]
  reach = [r * math.cos(math.pi / corners)] * corners
  if kind == "rectangle":
    long = r / math.hypot(1, form.aspect)
    reach = [long, long * form.aspect] * 2
  turns = form.angle + 2 * math.pi * np.arange(corners) / corners
  sides = [
    math.cos(turn) * u + math.sin(turn) * v - edge
    for turn, edge in zip(turns, reach, strict=True)
  ]
  return np.maximum.reduce(sides)


def render(scene: Scene, size: int) -> np.ndarray:
  """float32 [size, size, 3] in 0 .. 255, the scene at any size in pixels."""
  samples = math.ceil(FINEST / size)
  side = size * samples
  at = (np.arange(side) + 0.5) / side
  y, x = at[:, None], at[None]
  image = drawing.gradient((scene.start, scene.end), scene.angle, y, x)
  for form in scene.forms:
    rows, columns = (_near(form, axis, side) for axis in (0, 1))
    s = 0.5 - distance(form, y[rows], x[:, columns]) / EDGE
    s = np.clip(s, 0, 1)[..., None]
    part = image[rows, columns]
    part += s**2 * (3 - 2 * s) * (np.array(form.colour) - part)
  return drawing.means(image, samples).astype(np.float32)


def _near(form: Form, axis: int, side: int) -> slice:
  """Samples along an axis outside which a form covers nothing."""
  centre, reach = form.centre[axis], form.radius + EDGE
  first, last = (int(side * (centre + way * reach)) for way in (-1, 1))
  return slice(max(0, first - 1), last + 2)
