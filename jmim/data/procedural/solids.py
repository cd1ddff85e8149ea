"""Point clouds of things made of simple solids, with a label per part.

Points are uniform over the surfaces of all parts together; parts may run into
each other, as in scans of assembled things.
"""

import dataclasses

import numpy as np

PARTS = ("ball", "rod", "plate", "leg", "shade", "body", "nose", "fin")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solid:
  """A ball, box, cylinder or cone, upright.

  Attributes:
    part: name in PARTS.
    form: "ball" | "box" | "cylinder" | "cone" (of balls all sizes are equal;
      cylinders and cones have no lids).
    centre: (x, y, z) of its middle.
    size: half extents (x, y, z).
  """

  part: str
  form: str
  centre: tuple[float, float, float]
  size: tuple[float, float, float]

  @property
  def area(self) -> float:
    """Of the surface, of round forms as if x and y extents were equal."""
    x, y, z = self.size
    return {
      "ball": 4 * np.pi * x**2,
      "box": 8 * (x * y + y * z + x * z),
      "cylinder": 2 * np.pi * x * 2 * z,
      "cone": np.pi * x * float(np.hypot(x, 2 * z)),
    }[self.form]

  def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """[n, 3] points, uniform over the surface."""
    unit = {"ball": _ball, "cylinder": _cylinder, "cone": _cone}
    if self.form == "box":
      points = _box(n, np.asarray(self.size), rng)
    else:
      points = unit[self.form](n, rng)
    return points * self.size + self.centre


def _ball(n, rng):
  x = rng.normal(size=(n, 3))
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def _cylinder(n, rng):
  angle, z = rng.uniform(0, 2 * np.pi, n), rng.uniform(-1, 1, n)
  return np.stack([np.cos(angle), np.sin(angle), z], 1)


def _cone(n, rng):
  """Point up: the radius falls from 1 at z = -1 to 0 at z = 1."""
  angle, radius = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.uniform(0, 1, n))
  x, y = radius * np.cos(angle), radius * np.sin(angle)
  return np.stack([x, y, 1 - 2 * radius], 1)


def _box(n, size, rng):
  """In units of the half extents."""
  areas = np.prod(size) / size  # of the pair of faces across each axis
  axis = rng.choice(3, n, p=areas / areas.sum())
  points = rng.uniform(-1, 1, (n, 3))
  points[np.arange(n), axis] = rng.choice([-1.0, 1.0], n)
  return points


def _dumbbell(r):
  ends = [
    Solid(
      part="ball", form="ball", centre=(0, 0, s * r(0.7)), size=(r(0.3),) * 3
    )
    for s in (-1, 1)
  ]
  return [
    Solid(part="rod", form="cylinder", centre=(0, 0, 0), size=(0.1, 0.1, 0.6)),
    *ends,
  ]


def _table(r):
  top = Solid(
    part="plate", form="box", centre=(0, 0, 0.5), size=(r(0.7), r(0.7), 0.06)
  )
  leg, high = r(0.5), r(0.45)
  return [top] + [
    Solid(
      part="leg",
      form="cylinder",
      centre=(x * leg, y * leg, 0.45 - high),
      size=(0.07, 0.07, high),
    )
    for x in (-1, 1)
    for y in (-1, 1)
  ]


def _lamp(r):
  return [
    Solid(
      part="plate",
      form="cylinder",
      centre=(0, 0, -0.75),
      size=(r(0.4), r(0.4), 0.05),
    ),
    Solid(
      part="rod", form="cylinder", centre=(0, 0, -0.1), size=(0.06, 0.06, 0.65)
    ),
    Solid(
      part="shade",
      form="cone",
      centre=(0, 0, 0.6),
      size=(r(0.45), r(0.45), r(0.3)),
    ),
  ]


def _rocket(r):
  wide = r(0.25)
  fins = [
    Solid(
      part="fin",
      form="box",
      centre=(x * 1.5 * wide, y * 1.5 * wide, -0.6),
      size=(0.04 + abs(x) * 0.15, 0.04 + abs(y) * 0.15, 0.2),
    )
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))
  ]
  return [
    Solid(
      part="body", form="cylinder", centre=(0, 0, -0.1), size=(wide, wide, 0.6)
    ),
    Solid(
      part="nose",
      form="cone",
      centre=(0, 0, 0.5 + (high := r(0.25))),
      size=(wide, wide, high),
    ),
    *fins,
  ]


MAKERS = {
  "dumbbell": _dumbbell,
  "table": _table,
  "lamp": _lamp,
  "rocket": _rocket,
}
CLASSES = tuple(MAKERS)


def cloud(
  label: int, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """One thing of a class, turned about the upright axis, in the unit ball.

  Args:
    label: index in CLASSES.
    n: points.
    rng: consumed; also varies the proportions by a quarter.

  Returns:
    float32 [n, 3] points (centred, the farthest at distance 1); int32 [n]
    indices in PARTS.
  """
  vary = lambda x: x * rng.uniform(0.75, 1.25)
  solids = MAKERS[CLASSES[label]](vary)
  areas = np.array([solid.area for solid in solids])
  of = rng.choice(len(solids), n, p=areas / areas.sum())
  points = np.zeros((n, 3))
  for i, solid in enumerate(solids):
    points[of == i] = solid.sample(int((of == i).sum()), rng)
  angle = rng.uniform(0, 2 * np.pi)
  cos, sin = np.cos(angle), np.sin(angle)
  points = points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
  points -= points.mean(0)
  points /= np.linalg.norm(points, axis=1).max()
  parts = np.array([PARTS.index(solid.part) for solid in solids])
  return points.astype(np.float32), parts[of].astype(np.int32)
