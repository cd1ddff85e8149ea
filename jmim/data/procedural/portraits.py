"""Faces of 32 units by factors that can be exchanged one by one.

A portrait is (identity, expression, pose, light). Who it is: skin, hair, the
distance of the eyes, the axes of the face, clothes, a textured ground. All else
changes on the same person. Lengths are in 1/32 of the side, as in `faces`,
whose features these faces have; `portrait_drawing` draws them.

Made for DiffFAE (Wang et al. 2024) and DiffDub (Liu et al. 2024).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jmim.data.procedural import faces

TEXTURES = 8  # of the ground
CENTRE = 15.0  # height of the middle of a face whose pose is 0
TURN = np.pi / 12  # greatest angle of a pose [radians], of either sign
YAW = 3.0  # greatest shift of the features
SHADE = 0.5  # greatest strength of a light


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
  """Who it is.

  Attributes:
    skin: colour, 0 .. 255.
    hair: colour.
    hairline: height of the hair's lower edge above the middle of the face.
    spacing: between the middles of the eyes.
    axes: half the height and half the width of the face.
    clothes: colour.
    texture: of the ground, below TEXTURES.
    iris: colour.
  """

  skin: faces.Colour
  hair: faces.Colour
  hairline: float
  spacing: float
  axes: tuple[float, float]
  clothes: faces.Colour
  texture: int
  iris: faces.Colour

  @property
  def numbers(self) -> np.ndarray:
    """float32 [14]: skin, hair, clothes in 0 .. 1; lengths; texture."""
    colours = np.concatenate([self.skin, self.hair, self.clothes]) / 255
    lengths = (self.hairline, self.spacing, *self.axes)
    return np.float32([*colours, *lengths, self.texture])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expression:
  """What the face does.

  Attributes:
    open: height of the open mouth, 0 .. 4.
    curve: height of its corners above its middle, -2 .. 2.
    brows: height of the brows over that at rest, -0.5 .. 1.
    width: of the mouth, 6 .. 12.
    closed: share of the eyes that the lids cover.
  """

  open: float
  curve: float
  brows: float
  width: float = 9.0
  closed: float = 0.0

  @property
  def numbers(self) -> np.ndarray:
    """float32 [3]: open, curve, brows."""
    return np.float32([self.open, self.curve, self.brows])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pose:
  """Where the head is.

  Attributes:
    x: shift to the right.
    y: shift downwards.
    angle: in the plane, clockwise [radians].
    yaw: shift of the features on the face.
  """

  x: float = 0.0
  y: float = 0.0
  angle: float = 0.0
  yaw: float = 0.0

  @property
  def numbers(self) -> np.ndarray:
    """float32 [4]: x, y, angle, yaw."""
    return np.float32([self.x, self.y, self.angle, self.yaw])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Light:
  """A factor of the face that is linear in the place, 1 on the light side.

  Attributes:
    angle: direction in which it gets lighter, clockwise from the right
      [radians].
    strength: by which the dark side is darker; 0: even.
  """

  angle: float = 0.0
  strength: float = 0.0

  @property
  def numbers(self) -> np.ndarray:
    """float32 [2]: strength along x and along y."""
    way = np.array([np.cos(self.angle), np.sin(self.angle)])
    return np.float32(self.strength * way)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Portrait:
  """All of it."""

  identity: Identity
  expression: Expression
  pose: Pose = Pose()
  light: Light = Light()

  @property
  def face(self) -> faces.Face:
    """The features, as `faces` paints them."""
    i, e = self.identity, self.expression
    return faces.Face(
      label=0,
      ground=((0.0,) * 3,) * 2,
      ground_angle=0.0,
      centre=(CENTRE + self.pose.y, 16 + self.pose.x),
      axes=i.axes,
      skin=i.skin,
      shade=0.0,
      shade_angle=0.0,
      hair=i.hair,
      hairline=i.hairline,
      spacing=i.spacing,
      eye=1.8,
      eye_height=1.5,
      iris=i.iris,
      gaze=(0.0, 0.0),
      brow=0.0,
      mouth=e.width,
      curve=e.curve,
      open=e.open,
      raised=e.brows,
      closed=e.closed,
    )

  def taking(self, other: "Portrait", names: Sequence[str]) -> "Portrait":
    """Itself with some factors of another one.

    Args:
      other: whose factors.
      names: of them: "identity", "expression", "pose", "light".
    """
    return dataclasses.replace(self, **{n: getattr(other, n) for n in names})


def draw_identity(rng: np.random.Generator) -> Identity:
  """A random one."""
  near = lambda colour, far: tuple(np.add(colour, rng.uniform(-far, far, 3)))
  pick = lambda known: known[rng.integers(len(known))]
  wide = rng.uniform(8.5, 10.5)
  return Identity(
    skin=near(pick(faces.SKIN), 8),
    hair=near(pick(list(faces.HAIR.values())), 12),
    hairline=rng.uniform(4.5, 7.5),
    spacing=rng.uniform(7, 10),
    axes=(rng.uniform(wide + 0.5, 11.5), wide),
    clothes=tuple(rng.uniform(20, 235, 3)),
    texture=int(rng.integers(TEXTURES)),
    iris=pick(faces.IRIS),
  )


def draw_expression(rng: np.random.Generator) -> Expression:
  """A random one, of a mouth of one width."""
  return Expression(
    open=rng.uniform(0, 4), curve=rng.uniform(-2, 2), brows=rng.uniform(-0.5, 1)
  )


def draw_pose(rng: np.random.Generator) -> Pose:
  """A random one."""
  x, y = rng.uniform(-2, 2, 2)
  angle, yaw = rng.uniform(-TURN, TURN), rng.uniform(-YAW, YAW)
  return Pose(x=x, y=y, angle=angle, yaw=yaw)


def draw_light(rng: np.random.Generator) -> Light:
  """A random one."""
  angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, SHADE)
  return Light(angle=angle, strength=strength)


def draw(rng: np.random.Generator, who: Identity) -> Portrait:
  """Somebody, all else of whom is random."""
  return Portrait(
    identity=who,
    expression=draw_expression(rng),
    pose=draw_pose(rng),
    light=draw_light(rng),
  )
