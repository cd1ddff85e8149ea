"""Point clouds of eight kinds of surfaces and a curve, the class.

Points are uniform over a surface of random proportions (of a torus and a helix:
over its parameters); then each axis is stretched by a factor of its own and
the thing is turned about the upright axis (the small data of I2P-MAE's claim).
"""

from collections.abc import Callable

import numpy as np

from jmim.data.procedural import solids

_STRETCH = (0.6, 1.4)

Rng = np.random.Generator


def _solid(form: str, n: int, rng: Rng) -> np.ndarray:
  one = solids.Solid(
    part="body", form=form, centre=(0.0, 0.0, 0.0), size=(1.0, 1.0, 1.0)
  )
  return one.sample(n, rng)


def _torus(n: int, rng: Rng) -> np.ndarray:
  """A ring of radius 1 around z; the radius of the tube is drawn."""
  tube = rng.uniform(0.2, 0.45)
  around, along = rng.uniform(0, 2 * np.pi, (2, n))
  radius = 1 + tube * np.cos(along)
  return np.stack(
    [radius * np.cos(around), radius * np.sin(around), tube * np.sin(along)], 1
  )


def _two_spheres(n: int, rng: Rng) -> np.ndarray:
  """Side by side, apart by a drawn gap, of different sizes."""
  second = rng.uniform(0.5, 1.0)
  apart = 1 + second + rng.uniform(0.1, 0.6)
  points = _solid("ball", n, rng)
  other = rng.uniform(size=n) < second**2 / (1 + second**2)
  points[other] = second * points[other] + (apart, 0.0, 0.0)
  return points


def _planes(n: int, rng: Rng) -> np.ndarray:
  """Two parallel squares, one above the other."""
  points = rng.uniform(-1, 1, (n, 3))
  high = rng.uniform(0.3, 0.8)
  points[:, 2] = rng.choice([-high, high], n)
  return points


def _helix(n: int, rng: Rng) -> np.ndarray:
  """A wire that winds up around z, two to four times."""
  turns, t = rng.uniform(2, 4), rng.uniform(-1, 1, n)
  angle = np.pi * turns * t
  wire = np.stack([np.cos(angle), np.sin(angle), 1.2 * t], 1)
  return wire + 0.04 * rng.normal(size=(n, 3))


MAKERS: dict[str, Callable[[int, Rng], np.ndarray]] = {
  "sphere": lambda n, rng: _solid("ball", n, rng),
  "box": lambda n, rng: _solid("box", n, rng),
  "cylinder": lambda n, rng: _solid("cylinder", n, rng),
  "cone": lambda n, rng: _solid("cone", n, rng),
  "torus": _torus,
  "two_spheres": _two_spheres,
  "planes": _planes,
  "helix": _helix,
}
CLASSES = tuple(MAKERS)


def cloud(label: int, n: int, rng: np.random.Generator) -> np.ndarray:
  """float32 [n, 3] of a class, centred, the farthest point at distance 1.

  Args:
    label: index in CLASSES.
    n: points.
    rng: consumed: proportions, stretch of each axis, turn about z, points.
  """
  points = MAKERS[CLASSES[label]](n, rng) * rng.uniform(*_STRETCH, 3)
  angle = rng.uniform(0, 2 * np.pi)
  cos, sin = np.cos(angle), np.sin(angle)
  points = points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
  points -= points.mean(0)
  points /= np.linalg.norm(points, axis=1).max()
  return points.astype(np.float32)
