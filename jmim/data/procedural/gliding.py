"""Clips in which one thing crosses the middle of a picture, straight."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jmim.data.procedural import scenes

PACES = (0.06, 0.105)  # least and greatest, in sides of a picture per frame


def glide(
  size: int, frames: int, direction: int, rng: np.random.Generator
) -> np.ndarray:
  """float32 [frames, size, size, 3]: one thing crosses the middle, straight.

  The background is a still texture.

  Args:
    size: side in pixels.
    frames: of the clip.
    direction: index in `scenes.DIRECTIONS`; everything else is random, so
      no single frame tells it.
    rng: consumed.
  """
  (made,) = glides(
    size, frames, direction, paces=(rng.uniform(*PACES),), rng=rng
  )
  return made


def glides(
  size: int,
  frames: int,
  direction: int,
  *,
  paces: Sequence[float],
  rng: np.random.Generator,
) -> list[np.ndarray]:
  """As `glide`, one clip for each pace: all else of them is the same.

  Args:
    size: side in pixels.
    frames: of each clip.
    direction: index in `scenes.DIRECTIONS`.
    paces: sides of the picture per frame.
    rng: consumed.
  """
  angle = 2 * np.pi * direction / len(scenes.DIRECTIONS)
  way = np.array([np.sin(angle), np.cos(angle)])  # (y, x), y downwards
  middle = size * rng.uniform(0.4, 0.6, 2)
  thing = scenes.random_thing(size, rng, 2.0, False)
  texture = scenes.clouds(size, rng)
  times = (np.arange(frames) - (frames - 1) / 2)[:, None]

  def shot(place):
    there = dataclasses.replace(thing, centre=tuple(place))
    return scenes.render([there], texture)[0]

  return [
    np.stack([shot(p) for p in middle + size * pace * way * times])
    for pace in paces
  ]
