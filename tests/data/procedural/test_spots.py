import numpy as np
import pytest

from jmim.data.procedural import scenes
from jmim.data.procedural import spots


def coloured(image):
  """Pixels that are not grey."""
  return image.max(-1) - image.min(-1) > 1


@pytest.mark.parametrize("kind", range(len(spots.KINDS)))
def test_one_whole_shape_of_one_colour_on_grey_noise(kind):
  corners = []
  for seed in range(30):
    image = spots.spot(32, kind, np.random.default_rng(seed))
    where = coloured(image)
    rows, columns = np.nonzero(where)
    for axis in (rows, columns):
      assert 4 <= axis.max() - axis.min() + 1 <= spots.SIDE
    (colour,) = np.unique(image[where], axis=0)
    assert tuple(colour) in scenes.COLOURS.values()
    noise = image[~where][:, 0]
    assert 25 < noise.std() < 45 and 100 < noise.mean() < 120
    corners.append((rows.min(), columns.min()))
  # Anywhere: also near both edges.
  corners = np.array(corners)
  assert corners.min() <= 3 and corners.max() >= 20


def test_kinds_have_other_pixels():
  """At one place: no two shapes share more than three quarters."""
  make = lambda kind: coloured(spots.spot(32, kind, np.random.default_rng(3)))
  masks = [make(kind) for kind in range(len(spots.KINDS))]
  for i, a in enumerate(masks):
    for b in masks[:i]:
      assert (a & b).sum() <= 0.75 * (a | b).sum()
