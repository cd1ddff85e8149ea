"""Words of three glyphs on textured grounds, every pixel of them exact.

Twenty letters of five by seven pixels, four styles, eight colours. A word lies
in a box of 12 x 24 pixels, whose corner has even coordinates, in a picture of
16 x 32. In the window of a letter, 12 x 12 pixels within the picture, the
letter is always at the same place.

There are 8000 words; `words` takes 500 of them for each split, none of them
twice, in an order without meaning.
"""

import dataclasses
import functools
import hashlib
import itertools

import numpy as np

from jmim.data import splits
from jmim.data.procedural import drawing
from jmim.data.procedural import scenes

HEIGHT, WIDTH = 16, 32  # of a picture [pixels]
BOX = (12, 24)
WINDOW = 12
PITCH = 7  # pixels from a letter to the next
COUNT = 3  # letters of a word
EACH = 500  # words of a split
STYLES = ("plain", "bold", "slanted", "outlined")
COLOURS = {
  "white": (238, 238, 238),
  "red": (228, 45, 40),
  "green": (50, 175, 70),
  "blue": (60, 105, 238),
  "yellow": (240, 208, 50),
  "purple": (165, 70, 205),
  "cyan": (60, 208, 218),
  "orange": (240, 135, 35),
}
# Rows of each letter from above, the leftmost pixel 16.
FONT = {
  "0": (14, 17, 19, 21, 25, 17, 14),
  "1": (4, 12, 4, 4, 4, 4, 14),
  "2": (14, 17, 1, 2, 4, 8, 31),
  "3": (31, 2, 4, 2, 1, 17, 14),
  "4": (2, 6, 10, 18, 31, 2, 2),
  "5": (31, 16, 30, 1, 1, 17, 14),
  "6": (6, 8, 16, 30, 17, 17, 14),
  "7": (31, 1, 2, 4, 8, 8, 8),
  "8": (14, 17, 17, 14, 17, 17, 14),
  "9": (14, 17, 17, 15, 1, 2, 12),
  "A": (14, 17, 17, 31, 17, 17, 17),
  "C": (14, 17, 16, 16, 16, 17, 14),
  "E": (31, 16, 16, 30, 16, 16, 31),
  "F": (31, 16, 16, 30, 16, 16, 16),
  "H": (17, 17, 17, 31, 17, 17, 17),
  "K": (17, 18, 20, 24, 20, 18, 17),
  "L": (16, 16, 16, 16, 16, 16, 31),
  "P": (30, 17, 17, 30, 16, 16, 16),
  "T": (31, 4, 4, 4, 4, 4, 4),
  "X": (17, 17, 10, 4, 10, 17, 17),
}
LETTERS = "".join(FONT)
PALETTE = np.array(list(COLOURS.values()), np.float32)
SHADE = 0.45  # of the grounds, over that of `scenes.clouds`

_MARGIN = 2  # beside the letter in its canvas, 1 above and below
_CANVAS = (9, 9)
# Rows of the letter that a slant moves by so many pixels to the right.
_SLANT = (1, 1, 0, 0, 0, -1, -1)


@functools.cache
def words(split: str) -> tuple[str, ...]:
  """Those of a split, "train" or "test"."""
  every = map("".join, itertools.product(LETTERS, repeat=COUNT))
  order = sorted(every, key=lambda w: hashlib.sha256(w.encode()).digest())
  first = EACH * splits.MADE.index(split)
  return tuple(order[first : first + EACH])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Word:
  """A word in a place.

  Attributes:
    text: three of LETTERS.
    style: index in STYLES.
    colour: index in COLOURS.
    y: upper edge of its box [pixels].
    x: left edge of it.
  """

  text: str
  style: int
  colour: int
  y: int
  x: int

  @property
  def letters(self) -> np.ndarray:
    """int32 [3], indices in LETTERS."""
    return np.array([LETTERS.index(c) for c in self.text], np.int32)

  @property
  def windows(self) -> np.ndarray:
    """int32 [3, 2], upper and left edge of the window of each letter."""
    return np.array(
      [(self.y, self.x + PITCH * i) for i in range(COUNT)], np.int32
    )

  @property
  def box(self) -> np.ndarray:
    """uint8 [HEIGHT, WIDTH], 1 in the box."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[self.y : self.y + BOX[0], self.x : self.x + BOX[1]] = 1
    return mask


def strokes(letter: str, style: str) -> np.ndarray:
  """bool [9, 9]: pixels of a letter; plain in rows 1 to 7, columns 2 to 6."""
  drawn = np.zeros(_CANVAS, bool)
  for i, row in enumerate(FONT[letter]):
    bits = np.array([row >> k & 1 for k in range(4, -1, -1)], bool)
    left = _MARGIN + (_SLANT[i] if style == "slanted" else 0)
    drawn[1 + i, left : left + 5] = bits
  if style == "bold":
    drawn[:, 1:] |= drawn[:, :-1]
  if style == "outlined":
    wide = np.pad(drawn, 1)
    shifts = itertools.product(range(3), repeat=2)
    near = [wide[i : i + 9, j : j + 9] for i, j in shifts]
    drawn = np.any(near, axis=0) & ~drawn
  return drawn


def mask(word: Word) -> np.ndarray:
  """bool [HEIGHT, WIDTH]: pixels of all its letters."""
  drawn = np.zeros((HEIGHT, WIDTH), bool)
  for i, letter in enumerate(word.text):
    top, left = word.y + 2, word.x + 1 + PITCH * i
    part = drawn[top : top + _CANVAS[0], left : left + _CANVAS[1]]
    part |= strokes(letter, STYLES[word.style])
  return drawn


def render(word: Word, ground: np.ndarray) -> np.ndarray:
  """uint8 [HEIGHT, WIDTH, 3] of a ground [HEIGHT, WIDTH, 3], 0 .. 255."""
  image = np.where(mask(word)[..., None], PALETTE[word.colour], ground)
  return drawing.levels(image)


def draw_ground(rng: np.random.Generator) -> np.ndarray:
  """float32 [HEIGHT, WIDTH, 3]: dim clouds of one hue."""
  return SHADE * scenes.clouds(WIDTH, rng)[:HEIGHT]


def draw_word(rng: np.random.Generator, text: str) -> Word:
  """A word of any style and colour, anywhere."""
  return Word(
    text=text,
    style=int(rng.integers(len(STYLES))),
    colour=int(rng.integers(len(COLOURS))),
    y=2 * int(rng.integers(3)),
    x=2 * int(rng.integers(4)),
  )
