"""Small faces, antialiased: what a restorer of faces is tried on.

Lengths are in 1/32 of the side. A face is an ellipse of skin with a shade, a
cap of hair, eyes that look somewhere, brows, a nose and a mouth, before a
gradient. The class is the colour of the hair and the shape of the mouth; all
else is drawn apart from it.

Made for DifFace (Yue and Loy 2024).
"""

import dataclasses

import numpy as np

from jmim.data.procedural import drawing

HAIR = {  # levels 0 .. 255
  "black": (35, 30, 32),
  "brown": (110, 70, 40),
  "blond": (225, 190, 110),
  "red": (185, 75, 30),
}
MOUTHS = {"sad": -1, "straight": 0, "smiling": 1}
CLASSES = tuple(f"{hair}, {mouth}" for hair in HAIR for mouth in MOUTHS)
SKIN = (
  (252, 222, 196),
  (240, 200, 165),
  (224, 172, 132),
  (190, 135, 95),
  (145, 95, 62),
  (98, 64, 44),
)
IRIS = ((70, 110, 170), (80, 120, 70), (95, 60, 30), (60, 60, 65))
SIDE = 32  # units along a side
FINEST = 128  # samples along a side

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Face:
  """All that a picture depends on; lengths in units, colours 0 .. 255.

  Attributes:
    label: index in CLASSES.
    ground: colours of the background, at one edge and at the opposite one.
    ground_angle: direction of that gradient [radians].
    centre: (y, x) of the skin.
    axes: half the height and half the width of it.
    skin: its colour.
    shade: share by which it darkens, from one side to the other.
    shade_angle: direction of the shade [radians].
    hair: its colour.
    hairline: height of the hair's lower edge above the centre.
    spacing: between the middles of the eyes.
    eye: radius.
    eye_height: of the eyes above the centre.
    iris: colour.
    gaze: (y, x) of the irises, in radii of an eye.
    brow: by which the inner end of a brow is lower than the outer one.
    mouth: width.
    curve: height of the corners of the mouth above its middle.
    open: of the mouth.
    raised: by which the brows are higher than those of a face at rest.
    closed: share of the eyes' height that the lids cover.
  """

  label: int
  ground: tuple[Colour, Colour]
  ground_angle: float
  centre: tuple[float, float]
  axes: tuple[float, float]
  skin: Colour
  shade: float
  shade_angle: float
  hair: Colour
  hairline: float
  spacing: float
  eye: float
  eye_height: float
  iris: Colour
  gaze: tuple[float, float]
  brow: float
  mouth: float
  curve: float
  open: float
  raised: float = 0.0
  closed: float = 0.0


def draw(rng: np.random.Generator) -> Face:
  """A random face."""
  label = int(rng.integers(len(CLASSES)))
  hair, mouth = divmod(label, len(MOUTHS))
  near = lambda colour, far: tuple(np.add(colour, rng.uniform(-far, far, 3)))
  pick = lambda known: known[rng.integers(len(known))]
  way = list(MOUTHS.values())[mouth]
  # Of 16 px a corner is up or down by hardly more than half a pixel.
  curve = way * rng.uniform(2.2, 3.2) if way else rng.uniform(-0.3, 0.3)
  width = rng.uniform(9, 11.5)
  return Face(
    label=label,
    ground=(tuple(rng.uniform(20, 235, 3)), tuple(rng.uniform(20, 235, 3))),
    ground_angle=rng.uniform(0, 2 * np.pi),
    centre=tuple(16.5 + rng.uniform(-2, 2, 2)),
    axes=(rng.uniform(width + 0.5, 13), width),
    skin=near(pick(SKIN), 8),
    shade=rng.uniform(0.05, 0.3),
    shade_angle=rng.uniform(0, 2 * np.pi),
    hair=near(list(HAIR.values())[hair], 12),
    hairline=rng.uniform(5, 8.5),
    spacing=rng.uniform(8, 12),
    eye=rng.uniform(1.5, 2.5),
    eye_height=rng.uniform(1, 2.5),
    iris=pick(IRIS),
    gaze=tuple(rng.uniform(-0.35, 0.35, 2)),
    brow=rng.uniform(-0.7, 0.7),
    mouth=rng.uniform(8, 12),
    curve=curve,
    open=rng.uniform(0, 2),
  )


def render(face: Face, size: int) -> np.ndarray:
  """float32 [size, size, 3] in 0 .. 255: means over the area of a pixel.

  Args:
    face: what is drawn.
    size: side [pixels], a divisor of FINEST.
  """
  at = (np.arange(FINEST) + 0.5) * SIDE / FINEST
  y, x = at[:, None], at[None]
  ground = (face.ground, face.ground_angle)
  image = drawing.gradient(*ground, y / SIDE, x / SIDE)
  cy, cx = face.centre
  tall, wide = face.axes
  # From here on from the middle of the face.
  y, x = y - cy, x - cx
  skull = lambda more: (y / (tall + more)) ** 2 + (x / (wide + more)) ** 2 < 1
  along = np.cos(face.shade_angle) * x + np.sin(face.shade_angle) * y
  light = 1 - face.shade * np.clip(0.5 + along / (2 * tall), 0, 1)
  skin = light[..., None] * np.array(face.skin)
  paint(image, skull(0), skin)
  paint(image, hair(face, y, x), face.hair)
  features(image, face, y=y, x=x, skin=skin)
  return pixels(image, size).astype(np.float32)


def hair(face: Face, y: np.ndarray, x: np.ndarray) -> np.ndarray:
  """Where the cap of hair is; y and x from the middle of the face."""
  tall, wide = face.axes
  skull = (y / (tall + 1.2)) ** 2 + (x / (wide + 1.2)) ** 2 < 1
  return skull & (y < -face.hairline + 0.03 * x**2)


def features(
  image: np.ndarray,
  face: Face,
  y: np.ndarray,
  x: np.ndarray,
  skin: np.ndarray,
) -> None:
  """Paints eyes, brows, nose and mouth; y and x from the middle of the face.

  Args:
    image: [h, w, 3], painted on.
    face: whose they are.
    y: heights, to be broadcast with x to [h, w].
    x: widths.
    skin: its colour, [3] or [h, w, 3].
  """
  for side in (-1, 1):
    middle = (y + face.eye_height, x - side * face.spacing / 2)
    _eye(image, face, *middle, side=side)
    if face.closed:
      _lid(image, face, *middle, skin=skin)
  nose = (np.abs(x) < 0.35) & (np.abs(y - 1.6) < 1.8)
  paint(image, nose, 0.72 * skin)
  _mouth(image, face, y - 0.5 * face.axes[0], x)


def pixels(image: np.ndarray, size: int) -> np.ndarray:
  """Means [size, size, ...] over the areas of pixels of [FINEST, FINEST, ...].

  Args:
    image: of any content.
    size: side [pixels], a divisor of FINEST.
  """
  return drawing.means(image, FINEST // size)


def paint(image: np.ndarray, where: np.ndarray, colour: np.ndarray) -> None:
  """Gives the places of [h, w, 3] that are True a colour."""
  where = np.broadcast_to(where, image.shape[:2])
  image[where] = np.broadcast_to(colour, image.shape)[where]


def _eye(
  image: np.ndarray, face: Face, y: np.ndarray, x: np.ndarray, side: int
) -> None:
  """One eye and its brow; y and x from the middle of the eye."""
  r = face.eye
  white = (y / (0.75 * r)) ** 2 + (x / r) ** 2 < 1
  paint(image, white, (245.0, 245.0, 240.0))
  v, u = y - r * face.gaze[0], x - r * face.gaze[1]
  away = np.hypot(v, u) / r
  paint(image, white & (away < 0.62), face.iris)
  paint(image, white & (away < 0.3), (15.0, 15.0, 15.0))
  height = y + r + 1.1 + face.raised + face.brow * side * x / r
  brow = (np.abs(height) < 0.45) & (np.abs(x) < 1.25 * r)
  paint(image, brow, 0.55 * np.array(face.hair))


def _lid(
  image: np.ndarray, face: Face, y: np.ndarray, x: np.ndarray, skin: np.ndarray
) -> None:
  """Skin over an eye from above, with a dark edge; from the eye's middle."""
  r = face.eye
  eye = (y / (0.75 * r)) ** 2 + (x / r) ** 2 < 1
  edge = 0.75 * r * (2 * face.closed - 1)
  paint(image, eye & (y < edge), skin)
  paint(image, eye & (np.abs(y - edge + 0.2) < 0.2), 0.6 * skin)


def _mouth(image: np.ndarray, face: Face, y: np.ndarray, x: np.ndarray) -> None:
  """An arc, open in the middle; y and x from the middle of the mouth."""
  share = 1 - (2 * x / face.mouth) ** 2  # 0 in the corners
  below = np.abs(y - face.curve * (share - 0.5))
  gap = face.open / 2 * share
  paint(image, (share > 0) & (below < gap + 0.5), (150.0, 30.0, 45.0))
  paint(image, (share > 0) & (below < gap - 0.2), (60.0, 20.0, 25.0))
