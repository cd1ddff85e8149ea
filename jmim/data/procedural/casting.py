"""Spheres and boxes on a textured disc, ray-cast from cameras on an arc.

World: z up, the disc at z = GROUND around the axis, nothing else but black.
Poses [3, 4] take points from the camera (right, down, forward) to the world;
the focal length is in heights of the image. numpy alone.
"""

import dataclasses

import numpy as np

from jmim.data.procedural import drawing

Array = np.ndarray

GROUND, RADIUS = -0.12, 0.65  # height and radius of the disc
ARC = 30.0  # degrees to both sides of the middle of the arc
FOCAL = 1.1  # in heights of the image
LIGHT = np.array([0.35, -0.45, 0.82])
AMBIENT = 0.45
FINER = 2  # rays along each side of a pixel
FAR = np.inf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solid:
  """A ball, or a box turned about the vertical.

  Attributes:
    box: whether it is a box.
    centre: [3].
    half: [3] half sides; of a ball all are its radius.
    turn: of a box, in radians.
    colour: [3] in 0 .. 1.
  """

  box: bool
  centre: Array
  half: Array
  turn: float
  colour: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
  """What stands on the disc, and how that looks.

  Attributes:
    solids: one to three.
    colours: [2, 3] of the disc's squares.
    cell: side of a square.
    turn: of the pattern, in radians.
  """

  solids: tuple[Solid, ...]
  colours: Array
  cell: float
  turn: float


def draw(rng: np.random.Generator) -> Scene:
  """A scene whose solids do not touch."""
  count, solids = int(rng.integers(1, 4)), []
  while len(solids) < count:
    half = rng.uniform(0.1, 0.2, 3)
    box = bool(rng.integers(2))
    half = half if box else np.full(3, half[0])
    angle, away = rng.uniform(0, 2 * np.pi), 0.45 * np.sqrt(rng.random())
    centre = np.array([away * np.cos(angle), away * np.sin(angle), 0.0])
    centre[2] = GROUND + half[2]
    reach = np.hypot(half[0], half[1])
    if all(
      np.hypot(*(centre - s.centre)[:2]) > reach + np.hypot(*s.half[:2])
      for s in solids
    ):
      colour = np.clip(rng.permutation([1.0, rng.random(), 0.1]), 0, 1)
      turn = rng.uniform(0, np.pi)
      solids.append(
        Solid(box=box, centre=centre, half=half, turn=turn, colour=colour)
      )
  dark = rng.uniform(0.1, 0.5, 3)
  return Scene(
    solids=tuple(solids),
    colours=np.stack([dark, dark + rng.uniform(0.2, 0.45, 3)]),
    cell=rng.uniform(0.18, 0.3),
    turn=rng.uniform(0, np.pi),
  )


def arc(rng: np.random.Generator, count: int) -> Array:
  """[count, 3, 4]: poses that look at the origin from along an arc."""
  middle, rise = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(25, 38))
  away = rng.uniform(1.25, 1.45)
  shares = (2 * np.arange(count) + rng.uniform(0.5, 1.5, count)) / count - 1
  angles = middle + np.radians(ARC) * shares
  level = np.stack([np.cos(angles), np.sin(angles)], -1) * np.cos(rise)
  up = np.full((count, 1), np.sin(rise))
  return looking(away * np.concatenate([level, up], axis=1))


def looking(places: Array) -> Array:
  """[n, 3, 4]: poses at places [n, 3] that look at the origin, upright."""
  forward = -places / np.linalg.norm(places, axis=1, keepdims=True)
  right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
  right /= np.linalg.norm(right, axis=1, keepdims=True)
  down = np.cross(forward, right)
  return np.stack([right, down, forward, places], axis=-1)


def render(
  scene: Scene, pose: Array, sides: tuple[int, int], focal: float = FOCAL
) -> tuple[Array, Array]:
  """uint8 [h, w, 3], and the depth float32 [h, w] of pixels' middles; 0: none.

  Args:
    scene: what is seen.
    pose: [3, 4] of the camera.
    sides: (h, w).
    focal: in heights of the image.
  """
  fine = (FINER * sides[0], FINER * sides[1])
  colours, _ = cast(scene, *rays(pose, fine, focal))
  _, depth = cast(scene, *rays(pose, sides, focal))
  depth = np.where(np.isfinite(depth), depth, 0).astype(np.float32)
  return drawing.levels(255 * drawing.means(colours, FINER)), depth


def rays(
  pose: Array, sides: tuple[int, int], focal: float
) -> tuple[Array, Array]:
  """Origin [3] and directions [h, w, 3] of unit length, through pixels."""
  h, w = sides
  y, x = np.mgrid[:h, :w] + 0.5
  ahead = np.stack([x - w / 2, y - h / 2, np.full((h, w), h * focal)], -1)
  along = ahead @ pose[:, :3].T
  return pose[:, 3], along / np.linalg.norm(along, axis=-1, keepdims=True)


def cast(scene: Scene, origin: Array, along: Array) -> tuple[Array, Array]:
  """Colours [..., 3] in 0 .. 1 and distances [...] of rays; black: inf."""
  colours, distance = _disc(scene, origin, along)
  for solid in scene.solids:
    hit, normal = (_box if solid.box else _ball)(solid, origin, along)
    nearer = hit < distance
    shade = AMBIENT + (1 - AMBIENT) * np.clip(normal @ _unit(LIGHT), 0, 1)
    seen = solid.colour * shade[..., None]
    colours = np.where(nearer[..., None], seen, colours)
    distance = np.where(nearer, hit, distance)
  return colours, distance


def _unit(x):
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _disc(scene, origin, along):
  """Of the disc: squares of two colours."""
  with np.errstate(divide="ignore", invalid="ignore"):
    t = (GROUND - origin[2]) / along[..., 2]
    place = origin[:2] + t[..., None] * along[..., :2]
    on = (t > 0) & (np.linalg.norm(place, axis=-1) < RADIUS)
  place = np.where(on[..., None], place, 0.0)
  squares = np.floor(_turned(place, scene.turn) / scene.cell).astype(int)
  colours = scene.colours[squares.sum(-1) % 2]
  return np.where(on[..., None], colours, 0.0), np.where(on, t, FAR)


def _turned(x, angle):
  """The first two of [..., 2 or 3] in a frame turned by an angle."""
  cos, sin = np.cos(angle), np.sin(angle)
  flat = [cos * x[..., 0] + sin * x[..., 1], cos * x[..., 1] - sin * x[..., 0]]
  return np.stack([*flat, *np.moveaxis(x[..., 2:], -1, 0)], axis=-1)


def _ball(solid, origin, along):
  """Distances [...] and normals [..., 3]."""
  to = origin - solid.centre
  b = along @ to
  under = b**2 - to @ to + solid.half[0] ** 2
  t = -b - np.sqrt(np.maximum(under, 0))
  t = np.where((under > 0) & (t > 0), t, FAR)
  at = np.where(np.isfinite(t), t, 0)
  return t, (to + at[..., None] * along) / solid.half[0]


def _box(solid, origin, along):
  """Distances [...] and normals [..., 3], by slabs."""
  to = _turned(origin - solid.centre, solid.turn)
  way = _turned(along, solid.turn)
  way = np.where(np.abs(way) < 1e-12, 1e-12, way)
  ends = np.stack([(-solid.half - to) / way, (solid.half - to) / way])
  enter, leave = ends.min(0), ends.max(0)
  axis, t = enter.argmax(-1), enter.max(-1)
  hit = (t < leave.min(-1)) & (t > 0)
  normal = -np.sign(np.take_along_axis(way, axis[..., None], -1))
  normal = normal * np.eye(3)[axis]
  return np.where(hit, t, FAR), _turned(normal, -solid.turn)
