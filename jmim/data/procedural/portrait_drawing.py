"""Portraits drawn: pictures, renderings, regions, landmarks.

`render` draws a portrait, `bald` the physical rendering of it, `parsed` also
says what is where, `landmarks` where the 68 points of a face lie.

Made for DiffFAE (Wang et al. 2024) and DiffDub (Liu et al. 2024).
"""

import dataclasses
import functools

import numpy as np

from jmim.data.procedural import drawing
from jmim.data.procedural import faces
from jmim.data.procedural import portraits

REGIONS = ("ground", "hair", "clothes", "skin", "features")
COLLAR = 27.5  # upper edge of the clothes, in 1/32 of the side


def render(portrait: portraits.Portrait, size: int) -> np.ndarray:
  """uint8 [size, size, 3], means over the area of a pixel.

  Args:
    portrait: what is drawn.
    size: side [pixels], a divisor of `faces.FINEST`.
  """
  return _levels(_drawn(portrait, False)[0], size)


def bald(portrait: portraits.Portrait, size: int) -> np.ndarray:
  """uint8 [size, size, 3]: the face with its eyes, brows and mouth on black.

  Brows have the colour of the skin, darker, so that nothing tells of the hair.

  Args:
    portrait: what is drawn.
    size: side [pixels], a divisor of `faces.FINEST`.
  """
  return _levels(_drawn(portrait, True)[0], size)


def parsed(
  portrait: portraits.Portrait, size: int
) -> tuple[np.ndarray, np.ndarray]:
  """`render`, and uint8 [size, size]: what covers most of a pixel, in REGIONS.

  Args:
    portrait: what is drawn.
    size: side [pixels], a divisor of `faces.FINEST`.
  """
  image, region = _drawn(portrait, False)
  shares = [faces.pixels(region == i, size) for i in range(len(REGIONS))]
  return _levels(image, size), np.argmax(shares, axis=0).astype(np.uint8)


def _levels(image, size):
  return drawing.levels(faces.pixels(image, size))


def _drawn(portrait, bare):
  """(colours [FINEST, FINEST, 3], index in REGIONS [FINEST, FINEST])."""
  y, x = _grid()
  who, face = portrait.identity, portrait.face
  image = np.zeros((*y.shape, 3))
  region = np.zeros(y.shape, np.uint8)

  def paint(where, colour, name):
    faces.paint(image, where, colour)
    region[where] = REGIONS.index(name)

  if bare:
    face = dataclasses.replace(face, hair=who.skin)
  else:
    image += _ground(who.texture)
    paint(y > COLLAR, who.clothes, "clothes")
  v, u = _inside(portrait, y, x)
  tall, wide = face.axes
  skull = (v / tall) ** 2 + (u / wide) ** 2 < 1
  light = _light(portrait, y, x)[..., None]
  paint(skull, light * np.array(face.skin), "skin")
  if not bare:
    paint(faces.hair(face, v, u), face.hair, "hair")
  own = np.full(image.shape, np.nan)
  faces.features(
    own, face, y=v, x=u - portrait.pose.yaw, skin=np.array(face.skin)
  )
  seen = ~np.isnan(own[..., 0]) & (region == REGIONS.index("skin"))
  paint(seen, light * np.nan_to_num(own), "features")
  return image, region


@functools.cache
def _grid():
  """(y, x) [FINEST, FINEST] of all samples, in units."""
  at = (np.arange(faces.FINEST) + 0.5) * faces.SIDE / faces.FINEST
  return np.meshgrid(at, at, indexing="ij")


def _inside(portrait, y, x):
  """(v, u): places y, x of the picture on an upright head, from its middle."""
  cy, cx = portrait.face.centre
  sin, cos = np.sin(portrait.pose.angle), np.cos(portrait.pose.angle)
  y, x = y - cy, x - cx
  return cos * y - sin * x, cos * x + sin * y


def _light(portrait, y, x):
  """Factor of each place of the face: 1 on the light side."""
  cy, cx = portrait.face.centre
  along_x, along_y = portrait.light.numbers
  far = along_x * (x - cx) + along_y * (y - cy)
  half = portrait.light.strength / 2
  return 1 - half + far / (2 * portrait.identity.axes[0])


@functools.cache
def _ground(texture):
  """[FINEST, FINEST, 3]: one of four patterns, in one of two colour pairs."""
  y, x = _grid()
  pattern, warm = texture % 4, texture // 4
  wave = np.stack([y, x, (y + x) / 2**0.5, y])[pattern]
  bright = np.sin(2 * np.pi * wave / 8) > 0
  if pattern == 3:
    bright ^= np.sin(2 * np.pi * x / 8) > 0
  pair = [((70, 90, 140), (120, 150, 190)), ((150, 110, 70), (200, 170, 120))]
  dark, light = np.array(pair[warm], float)
  return np.where(bright[..., None], light, dark)


def landmarks(portrait: portraits.Portrait, size: int) -> np.ndarray:
  """float32 [68, 2]: (x, y) of the points of a face [pixels].

  In the order of dlib: jaw 0 .. 16 (8: the chin), brows 17 .. 26, nose 27 .. 35
  (30: its tip), eyes 36 .. 47, mouth 48 .. 67 (from 60 on: its inside).

  Args:
    portrait: whose they are.
    size: side of the image [pixels].
  """
  face, yaw = portrait.face, np.array([portrait.pose.yaw, 0.0])
  tall, wide = face.axes
  way = np.linspace(-1, 1, 17)
  # Closer together at the chin than a constant angle would have them.
  at = np.pi / 2 * np.sign(way) * np.abs(way) ** 0.6
  jaw = np.stack([wide * np.sin(at), tall * np.cos(at)], -1)
  points = np.concatenate([jaw, yaw + _features(face)])
  sin, cos = np.sin(portrait.pose.angle), np.cos(portrait.pose.angle)
  turned = points @ np.array([[cos, sin], [-sin, cos]])
  return np.float32((turned + face.centre[::-1]) * size / faces.SIDE)


def _features(face):
  """[51, 2] (x, y) of brows, nose, eyes and mouth, from the face's middle."""
  r, gap = face.eye, face.spacing / 2
  lid = 0.75 * r * (1 - face.closed)
  brow = np.stack([r * np.linspace(-1.25, 1.25, 5), np.zeros(5)], -1)
  rise = np.array([0, -face.eye_height - r - 1.1 - face.raised])
  at = np.pi + np.arange(6) * np.pi / 3
  eye = np.stack([r * np.cos(at), lid * np.sin(at)], -1)
  eye = eye - [0, face.eye_height]
  sides = [np.array([way * gap, 0]) for way in (-1, 1)]
  nose = [(0, y) for y in np.linspace(-0.2, 3.4, 4)]
  nose += [(x, 3.6) for x in np.linspace(-1, 1, 5)]
  outer = np.cos(np.arange(12) * np.pi / 6 - np.pi)
  inner = np.cos(np.arange(8) * np.pi / 4 - np.pi)
  return np.concatenate(
    [
      *(brow + rise + side for side in sides),
      np.array(nose),
      *(eye + side for side in sides),
      _lip(face, outer, 0.5),
      _lip(face, inner, -0.2),
    ]
  )


def _lip(face, across, thick):
  """Points round the mouth, from its left corner over the upper lip."""
  share = 1 - across**2
  upper = np.arange(len(across)) <= len(across) // 2
  gap = np.maximum(face.open / 2 * share + thick * (share > 1e-9), 0)
  y = 0.5 * face.axes[0] + face.curve * (share - 0.5)
  y = y + np.where(upper, -gap, gap)
  return np.stack([across * face.mouth / 2, y], -1)
