import numpy as np
import pytest

from jmim.data.builders import shapes
from jmim.data.procedural import gliding
from jmim.data.procedural import scenes


def rng(name, i=0):
  return shapes.example_rng(name, "train", i)


@pytest.mark.parametrize("direction", range(len(scenes.DIRECTIONS)))
def test_what_glides_goes_where_the_label_says(direction):
  """The middle of the changing pixels moves along; no frame leaves sight."""
  for i in range(3):
    video = gliding.glide(32, 8, direction, rng("directions", i=i))
    still = np.median(video, axis=0)
    moved = np.abs(video - still).max(-1) > 8
    assert moved.any((1, 2)).all()
    y, x = (np.array([np.nonzero(m)[k].mean() for m in moved]) for k in (0, 1))
    found = np.arctan2(y[-1] - y[0], x[-1] - x[0])
    wanted = 2 * np.pi * direction / 8
    gap = (found - wanted + np.pi) % (2 * np.pi) - np.pi
    assert abs(gap) < np.pi / 8
    # At least 13 pixels; less is seen where the thing covers itself.
    assert np.hypot(y[-1] - y[0], x[-1] - x[0]) > 8


def test_paces_change_nothing_but_the_places_of_the_thing():
  make = lambda *paces: gliding.glides(
    32, 5, 0, paces=paces, rng=rng("preferences")
  )
  slow, fast = make(0.06, 0.105)
  np.testing.assert_array_equal(slow[2], fast[2])  # it meets in the middle
  (alone,) = make(0.105)
  np.testing.assert_array_equal(alone, fast)
  still = np.median(np.concatenate([slow, fast]), axis=0)
  middles = lambda clip: np.array(
    [np.nonzero(np.abs(x - still).max(-1) > 8)[1].mean() for x in clip]
  )
  way = lambda clip: middles(clip)[-1] - middles(clip)[0]
  assert way(fast) > 1.2 * way(slow) > 0
