"""What is read back from a picture of one thing is what was drawn."""

import numpy as np

from jmim.data.procedural import described
from jmim.data.procedural import seen


def drawn(n=100, size=32):
  rng = np.random.default_rng(0)
  things = [described.draw_one(rng)[0] for _ in range(n)]
  made = [
    described.render([t], described.draw_ground(rng), size) for t in things
  ]
  images, instances = map(np.stack, zip(*made, strict=True))
  return things, images, instances == 1


def test_mask_colour_and_place_are_those_of_the_thing():
  things, images, masks = drawn()
  found = seen.one(images)
  np.testing.assert_array_equal(found["mask"], masks)
  assert found["colour"].tolist() == [t.colour for t in things]
  np.testing.assert_allclose(found["area"], masks.mean((1, 2)))
  for i, thing in enumerate(things):
    rows, columns = np.nonzero(masks[i])
    mean = np.array([rows.mean() + 0.5, columns.mean() + 0.5]) / 32
    np.testing.assert_allclose(found["centre"][i], mean, atol=1e-9)
    if described.KINDS[thing.kind] != "triangle":  # whose middle is lower
      assert np.abs(mean - (thing.y, thing.x)).max() < 0.03


def test_colour_survives_noise_and_the_mask_nearly():
  things, images, masks = drawn()
  noise = np.random.default_rng(1).normal(0, 8, images.shape)
  noisy = (images + noise).round().clip(0, 255).astype(np.uint8)
  found = seen.one(noisy)
  right = found["colour"] == [t.colour for t in things]
  assert right.mean() > 0.98
  assert seen.overlap(found["mask"], masks).mean() > 0.9


def test_nothing_is_seen_on_an_empty_ground():
  found = seen.one(np.full((2, 32, 32, 3), 50, np.uint8))
  assert not found["mask"].any() and not found["area"].any()
  np.testing.assert_array_equal(found["centre"], np.full((2, 2), 0.5))


def test_overlap_is_intersection_over_union():
  one, other = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
  one[0, :2], other[0, 1:3] = True, True
  one[1, 0] = True
  np.testing.assert_allclose(seen.overlap(one, other), [1 / 3, 0, 1])
