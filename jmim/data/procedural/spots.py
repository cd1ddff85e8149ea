"""One small coloured shape anywhere on noise: what matters is a few tokens."""

import numpy as np

from jmim.data.procedural import scenes

KINDS = ("square", "triangle", "cross", "ring")
SIDE = 8  # pixels that a shape fits into


def spot(size: int, kind: int, rng: np.random.Generator) -> np.ndarray:
  """float32 [size, size, 3]: grey noise, and one upright shape of one colour.

  Args:
    size: side in pixels.
    kind: index in KINDS.
    rng: consumed.
  """
  noise = rng.normal(110, 35, (size, size, 1)) * np.ones(3)
  thing = scenes.Thing(
    kind=scenes.KINDS.index(KINDS[kind]),
    colour=list(scenes.COLOURS)[rng.integers(len(scenes.COLOURS))],
    texture="plain",
    centre=tuple(rng.integers(SIDE // 2, size - SIDE // 2 + 1, 2).tolist()),
    radius=SIDE / 2,
    angle=0.0,
    depth=scenes.NEAR,
  )
  return scenes.render([thing], noise)[0]
