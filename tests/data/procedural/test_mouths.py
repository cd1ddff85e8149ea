import colorsys
import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import mouths
from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits


def pictures(size=32, light=0.0, **mouth):
  """Eight people with a mouth that is open by so much."""
  made = []
  for seed in range(8):
    rng = np.random.default_rng(seed)
    who = portraits.draw_identity(rng)
    plain = {"open": 2.0, "curve": 0.0, "brows": 0.0} | mouth
    p = portraits.Portrait(
      identity=who,
      expression=portraits.Expression(**plain),
      light=portraits.Light(angle=0.3, strength=light),
    )
    made.append(portrait_drawing.render(p, size))
  return np.stack(made)


@pytest.mark.parametrize("size", [32, 128])
def test_openings_are_heights_and_lips(size):
  levels = [0.0, 1.0, 2.0, 3.0, 4.0]
  found = np.stack([mouths.opening(pictures(size, open=o)) for o in levels])
  assert (np.diff(found, axis=0) > 0.4).all()
  # Lips are 1 unit; beside the middle the mouth is a little lower.
  np.testing.assert_allclose(found.mean(1), 1 + np.array(levels), atol=0.4)


def test_neither_light_nor_skin_is_read():
  even, dark = (mouths.opening(pictures(light=s)) for s in (0.0, 0.5))
  np.testing.assert_allclose(even, dark, atol=0.35)
  assert np.ptp(even) < 0.4  # of eight skins


def test_the_hue_is_that_of_the_skin():

  found = mouths.skin_hue(pictures(128))
  for seed, hue in enumerate(found):
    who = portraits.draw_identity(np.random.default_rng(seed))
    want = colorsys.rgb_to_hsv(*(np.array(who.skin) / 255))[0]
    assert hue == pytest.approx(want, abs=0.01)
  lit = mouths.skin_hue(pictures(128, light=0.5))
  np.testing.assert_allclose(lit, found, atol=0.02)


def test_a_head_that_moves_is_followed():
  who = portraits.draw_identity(np.random.default_rng(1))
  still = portraits.Portrait(
    identity=who,
    expression=portraits.Expression(open=3.0, curve=0.0, brows=0.0),
  )
  poses = [portraits.Pose(x=x, y=y) for x, y in ((0, 0), (2, -2), (-2, 2))]
  images = np.stack(
    [
      portrait_drawing.render(dataclasses.replace(still, pose=p), 64)
      for p in poses
    ]
  )
  found = mouths.opening(images)
  assert np.ptp(found) < 0.5
