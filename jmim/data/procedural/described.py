"""Things on a plain ground that a sentence describes in full.

A thing has a kind, a colour and a texture, and lies in an ellipse: its centre,
its two half axes and the angle of the longer one. All that is known of it is
exact: a pixel is the thing's if its centre lies in its form, and things do not
touch. So masks, boxes and ellipses follow from the same numbers as the picture;
`seen` reads colour, area and place back from one.

Captions are made of WORDS, whose numbers are the tokens; 0 fills up.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jmim.data.procedural import scenes

KINDS = ("circle", "square", "triangle", "cross")
COLOURS = ("red", "green", "blue", "yellow", "purple")
TEXTURES = ("plain", "striped")
PLACES = ("top left", "top right", "bottom left", "bottom right")
SIZES = ("small", "large")
RELATIONS = ("left of", "above")
CLASSES = tuple(  # of episodes: kind by texture
  kind if texture == "plain" else f"{texture} {kind}"
  for kind in KINDS
  for texture in TEXTURES
)
WORDS = (  # append only: their places are the tokens of stored captions
  "",
  *("a", "the", "at", "and", "of", "left", "right", "top", "bottom", "above"),
  *COLOURS,
  "striped",
  *KINDS,
  *SIZES,
  "object",
)

SIDE = 32  # of the pictures that lengths below are in pixels of
SHADE = 0.3  # by which dark stripes are darker; they stay off any ground
GROUND = (35.0, 75.0)  # least and greatest level of a colour of the ground
GAP = 1.0  # pixels between the ellipses of two things, at least
# What the farthest point of a form is from its centre, in half axes.
REACH = {
  "circle": 1.0,
  "square": 0.8 * 2**0.5,
  "triangle": 1.0002,
  "cross": 1.0025,
}
PALETTE = np.array([scenes.COLOURS[c] for c in COLOURS], np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing:
  """One thing; lengths in shares of the picture's side.

  Attributes:
    kind: index in KINDS.
    colour: index in COLOURS.
    texture: index in TEXTURES.
    y: of the centre, from the top.
    x: of the centre, from the left.
    long: half axis along `angle`; a circle's radius.
    wide: the other half axis.
    angle: from the x axis towards the y axis, which points down [radians].
    large: index in SIZES; None: nobody speaks of it.
  """

  kind: int
  colour: int
  texture: int
  y: float
  x: float
  long: float
  wide: float
  angle: float = 0.0
  large: int | None = None

  @property
  def group(self) -> int:
    """Index in CLASSES."""
    return self.kind * len(TEXTURES) + self.texture

  @property
  def words(self) -> str:
    """As in captions, without an article: "red striped circle"."""
    size = [] if self.large is None else [SIZES[self.large]]
    texture = [TEXTURES[self.texture]] if self.texture else []
    return " ".join([*size, COLOURS[self.colour], *texture, KINDS[self.kind]])

  @property
  def ellipse(self) -> np.ndarray:
    """float32 [5]: x, y, half axes, angle; it holds the thing and touches it.

    A place p lies in it where |diag(1/a, 1/b) R (p - c)| <= 1, R the turn by
    minus the angle.
    """
    reach = REACH[KINDS[self.kind]]
    axes = (reach * self.long, reach * self.wide)
    return np.array([self.x, self.y, *axes, self.angle], np.float32)


def _local(thing: Thing, size: int) -> tuple[np.ndarray, np.ndarray]:
  """(v, u) of every pixel centre, in half axes: u along the angle."""
  y, x = (np.mgrid[:size, :size] + 0.5) / size
  y, x = y - thing.y, x - thing.x
  cos, sin = np.cos(thing.angle), np.sin(thing.angle)
  return (cos * y - sin * x) / thing.wide, (sin * y + cos * x) / thing.long


def mask(thing: Thing, size: int) -> np.ndarray:
  """bool [size, size]: pixels whose centre lies in the form."""
  return scenes.form(KINDS[thing.kind], *_local(thing, size))


def render(
  things: Sequence[Thing], ground: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
  """The picture, and what is where in it.

  Args:
    things: that do not touch.
    ground: float [3], its colour, 0 .. 255.
    size: side in pixels.

  Returns:
    uint8 [size, size, 3]; uint8 [size, size], 0 for the ground, i + 1 for
    thing i.
  """
  image = np.ones((size, size, 3)) * ground
  instance = np.zeros((size, size), np.uint8)
  for i, thing in enumerate(things):
    where = mask(thing, size)
    stripe = np.floor(2 * _local(thing, size)[1]).astype(int) % 2
    shade = 1 - SHADE * stripe * thing.texture
    image[where] = (shade[..., None] * PALETTE[thing.colour])[where]
    instance[where] = i + 1
  return image.round().astype(np.uint8), instance


def boxes(instance: np.ndarray, things: Sequence[Thing]) -> np.ndarray:
  """float32 [n, 5]: colour, x, y, width, height, in shares of the picture.

  Around the pixels of each thing; `objects` of a batch.
  """
  found = np.zeros((len(things), 5), np.float32)
  for i, thing in enumerate(things):
    rows, columns = np.nonzero(instance == i + 1)
    top, left = rows.min(), columns.min()
    sides = (columns.max() + 1 - left, rows.max() + 1 - top)
    shares = np.array([left, top, *sides]) / len(instance)
    found[i] = thing.colour, *shares
  return found


def tokens(text: str, length: int) -> np.ndarray:
  """int32 [length]: numbers of the words of a caption, then 0.

  Raises:
    ValueError: a word is not in WORDS.
  """
  ids = [WORDS.index(word) for word in text.split()]
  assert len(ids) <= length, (text, length)
  return np.array(ids + [0] * (length - len(ids)), np.int32)


# --- what is drawn


def draw_ground(rng: np.random.Generator) -> np.ndarray:
  """float32 [3]: a dim colour."""
  return rng.uniform(*GROUND, 3).astype(np.float32)


def draw_one(rng: np.random.Generator) -> tuple[Thing, int]:
  """A thing in one of four places; and which, an index in PLACES."""
  below, right = rng.integers(2, size=2)
  away = rng.uniform(2.5, 6.5, 2) / SIDE
  y, x = 0.5 + np.where([below, right], away, -away)
  radius = _exact(rng.uniform(5.5, 8.0) / SIDE)
  looks = _looks(rng)
  thing = Thing(**looks, y=_exact(y), x=_exact(x), long=radius, wide=radius)
  return thing, int(2 * below + right)


def draw_pair(rng: np.random.Generator) -> tuple[list[Thing], int]:
  """Two things, the first left of or above the other; and which of these.

  They are clearly so: by 3 of 32 pixels more than in the other direction.
  """
  while True:
    sizes = rng.integers(2, size=2).tolist()
    spans = [((3.5, 4.5), (6.0, 7.0))[k] for k in sizes]
    radii = [rng.uniform(*span) / SIDE for span in spans]
    looks = [_looks(rng) | {"large": k} for k in sizes]
    things = _apart(rng, looks, [(r, r, 0.0) for r in radii])
    gap = [abs(things[0].x - things[1].x), abs(things[0].y - things[1].y)]
    if abs(gap[0] - gap[1]) >= 3 / SIDE:
      relation = int(gap[1] > gap[0])
      place = lambda thing: thing.y if relation else thing.x  # noqa: B023
      return sorted(things, key=place), relation


def draw_blobs(rng: np.random.Generator) -> list[Thing]:
  """Two things of any proportion, turned anyhow."""
  spans = []
  for _ in range(2):
    long = rng.uniform(4.5, 7.5) / SIDE
    wide = long * rng.uniform(0.6, 1)
    spans.append((long, wide, rng.uniform(-np.pi / 2, np.pi / 2)))
  return _apart(rng, [_looks(rng) for _ in spans], spans)


def draw_scene(rng: np.random.Generator, of: int) -> list[Thing]:
  """Two or three things, of which the first alone is of a class.

  Args:
    rng: consumed.
    of: index in CLASSES.
  """
  looks = [_looks(rng) | _of_class(of)]
  for _ in range(rng.integers(1, 3)):
    other = rng.integers(len(CLASSES) - 1)
    looks.append(_looks(rng) | _of_class(int(other + (other >= of))))
  radii = [rng.uniform(4.0, 6.0) / SIDE for _ in looks]
  return _apart(rng, looks, [(r, r, 0.0) for r in radii])


def _exact(number: float) -> float:
  """Rounded to float32, so that it can be stored."""
  return float(np.float32(number))


def _looks(rng: np.random.Generator) -> dict[str, int]:
  """Fields of a thing that are not where it lies."""
  most = {"kind": KINDS, "colour": COLOURS, "texture": TEXTURES}
  return {name: int(rng.integers(len(of))) for name, of in most.items()}


def _of_class(of: int) -> dict[str, int]:
  """The same of a class."""
  kind, texture = divmod(of, len(TEXTURES))
  return {"kind": kind, "texture": texture}


def _apart(
  rng: np.random.Generator,
  looks: Sequence[dict[str, int]],
  spans: Sequence[tuple[float, float, float]],
) -> list[Thing]:
  """Things of (long, wide, angle) within the picture that do not touch."""
  kinds = [KINDS[look["kind"]] for look in looks]
  reach = [REACH[k] * s[0] for k, s in zip(kinds, spans, strict=True)]
  edge = GAP / 2 / SIDE
  while True:
    places = [rng.uniform(edge + r, 1 - edge - r, 2) for r in reach]
    gaps = [
      np.hypot(*(places[i] - places[j])) - reach[i] - reach[j]
      for i in range(len(looks))
      for j in range(i)
    ]
    if min(gaps) >= GAP / SIDE:
      break
  made = []
  drawn = zip(looks, places, spans, strict=True)
  for look, (y, x), (long, wide, angle) in drawn:
    numbers = {"y": y, "x": x, "long": long, "wide": wide, "angle": angle}
    made.append(Thing(**look, **{k: _exact(n) for k, n in numbers.items()}))
  return made
