"""What a drag did, read from pictures of a few things on a plain ground.

Of pictures that a model made, too, whose ellipses are those that it was told.
A pixel is a thing's if it differs from the ground; a thing's kind is that of
`described` whose form in the same ellipse overlaps it most.
"""

import dataclasses

import numpy as np

from jmim.data.procedural import described
from jmim.data.procedural import seen

NEAR = 2 / described.SIDE  # from where a thing should be, in shares of the side
CLEAR = 0.9  # share of the pixels where it was that show the ground
ROOM = 1.25  # around other things' half axes, which are not looked at


def inside(ellipses: np.ndarray, side: int, room: float = 1.0) -> np.ndarray:
  """bool [..., side, side]: pixels whose centre lies in an ellipse.

  Args:
    ellipses: [..., 5], see `described.Thing.ellipse`; half axes of 0: none.
    side: of the picture.
    room: factor of the half axes.
  """
  x, y, a, b, angle = np.moveaxis(ellipses.astype(float), -1, 0)[
    ..., None, None
  ]
  rows, columns = (np.mgrid[:side, :side] + 0.5) / side
  right, down = columns - x, rows - y
  along = np.cos(angle) * right + np.sin(angle) * down
  across = np.cos(angle) * down - np.sin(angle) * right
  there = (a > 0) & (b > 0)
  far = [
    np.divide(z, room * r, where=there, out=np.ones_like(z + r))
    for z, r in ((along, a), (across, b))
  ]
  return there & (far[0] ** 2 + far[1] ** 2 <= 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
  """One thing of each picture.

  Attributes:
    mask: bool [b, h, w], its pixels within its ellipse.
    colour: int [b], nearest of `described.COLOURS` by hue.
    kind: int [b], of `described.KINDS`.
    centre: [b, 2] (x, y) of its pixels, shares of the side; not a number where
      there are none.
  """

  mask: np.ndarray
  colour: np.ndarray
  kind: np.ndarray
  centre: np.ndarray


def look(images: np.ndarray, ellipses: np.ndarray) -> Look:
  """What is in an ellipse of each picture.

  Args:
    images: uint8 [b, h, h, 3].
    ellipses: [b, 5].
  """
  x, differs = _differing(images)
  mask = differs & inside(ellipses, images.shape[1])
  forms = np.stack([_forms(e, images.shape[1]) for e in ellipses], 1)
  alike = np.stack([seen.overlap(form, mask) for form in forms])
  return Look(
    mask=mask,
    colour=_hue(_mean(mask[..., None], x)),
    kind=alike.argmax(0),
    centre=_centre(mask),
  )


def measures(
  source: np.ndarray,
  image: np.ndarray,
  before: np.ndarray,
  after: np.ndarray,
  *,
  which: np.ndarray | int,
) -> dict[str, np.ndarray]:
  """What became of a thing, bool [b] each.

    moved   pixels of its colour, beside other things, lie around where it
            should be, within 2 of 32 pixels
    clear   where it was, and is not, 90 % of the pixels show the ground
    colour  is what it was
    kind    is what it was
    kept    both are

  Args:
    source: uint8 [b, h, h, 3], before.
    image: the same after.
    before: [b, k, 5] ellipses of the source.
    after: [b, k, 5] those of the image.
    which: number of the thing, one for all or [b].
  """
  side, k = source.shape[1], before.shape[1]
  own_place = np.arange(k) == np.broadcast_to(which, len(before))[:, None]
  start, end = before[own_place], after[own_place]
  one, two = look(source, start), look(image, end)
  x, differs = _differing(image)
  others = after[~own_place].reshape(len(after), k - 1, after.shape[-1])
  elsewhere = ~inside(others, side, ROOM).any(1)
  own = differs & elsewhere & (_hue(x) == one.colour[:, None, None])
  wanted = one.centre + end[:, :2] - start[:, :2]
  away = np.linalg.norm(_centre(own) - wanted, axis=-1)
  left = one.mask & ~inside(end, side)
  gone = (left & ~differs).sum((1, 2))
  colour, kind = one.colour == two.colour, one.kind == two.kind
  there = one.mask.any((1, 2)) & two.mask.any((1, 2))
  return {
    "moved": away <= NEAR,
    "clear": one.mask.any((1, 2)) & (gone >= CLEAR * left.sum((1, 2))),
    "colour": there & colour,
    "kind": there & kind,
    "kept": there & colour & kind,
  }


def _differing(images):
  """float32 pictures, and which of their pixels are not the ground."""
  x = images.astype(np.float32)
  edge = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1)
  ground = np.median(edge, 1)[:, None, None]
  return x, np.linalg.norm(x - ground, axis=-1) > seen.LEAST


def _hue(colours):
  """[..., 3] -> [...] nearest of the palette by direction."""
  unit = lambda x: x / np.maximum(np.linalg.norm(x, axis=-1), 1)[..., None]
  return (unit(colours) @ unit(described.PALETTE).T).argmax(-1)


def _mean(weight, values):
  """[b, k] of [b, h, w, k] where a weight is True; 0 where it never is."""
  total = (weight * values).sum((1, 2))
  return total / np.maximum(weight.sum((1, 2)), 1)


def _centre(masks):
  """[b, 2] (x, y); not a number where a mask is empty."""
  places = (np.mgrid[: masks.shape[1], : masks.shape[2]] + 0.5)[::-1]
  shares = places.transpose(1, 2, 0) / np.array(masks.shape[1:3])
  mean = _mean(masks[..., None], shares)
  return np.where(masks.any((1, 2))[:, None], mean, np.nan)


def _forms(ellipse, side):
  """bool [kinds, h, w]: the things of each kind that the ellipse holds."""
  x, y, a, b, angle = ellipse.tolist()
  made = []
  for kind, name in enumerate(described.KINDS):
    reach = described.REACH[name]
    size = {"long": max(a, 1e-6) / reach, "wide": max(b, 1e-6) / reach}
    looks = {"kind": kind, "colour": 0, "texture": 0}
    thing = described.Thing(**looks, **size, x=x, y=y, angle=angle)
    made.append(described.mask(thing, side))
  return np.stack(made)
