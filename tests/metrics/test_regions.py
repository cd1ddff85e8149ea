import numpy as np
import pytest

from jmim.metrics import regions

COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250]], np.uint8)


@pytest.fixture(scope="module")
def scene():
  """Two red squares on green, a blue line, and one red pixel."""
  which = np.ones((16, 20), int)
  which[2:7, 2:7], which[9:14, 2:7] = 0, 0
  which[:, 12:15] = 2
  which[3, 17] = 0
  return which, COLOURS[which]


def test_colours_are_told_apart(scene):
  which, image = scene
  found = regions.quantised(image, 3)
  pairs = set(zip(which.ravel().tolist(), found.ravel().tolist(), strict=True))
  assert len(pairs) == 3


def test_pieces_that_do_not_touch_are_regions_of_their_own(scene):
  which, image = scene
  found = regions.components(image, 3, least=2)
  # Both squares, the line, and the green on either side of it.
  assert sorted(np.unique(found)) == [0, 1, 2, 3, 4, 5]
  assert found[3, 3] != found[10, 3] and found[0, 0] != found[0, -1]
  assert (found[which == 2] == found[0, 12]).all()
  assert found[3, 17] == 0 and (found == 0).sum() == 1


def test_small_ones_count_when_they_are_asked_for(scene):
  _, image = scene
  assert regions.components(image, 3, least=1).min() == 1
  assert regions.components(image, 3, least=30).max() == 3


def test_a_corner_touches():
  image = COLOURS[np.eye(6, dtype=int)]
  found = regions.components(image, 2, least=6)
  assert len(np.unique(found[np.eye(6, dtype=bool)])) == 1
