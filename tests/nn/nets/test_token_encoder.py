import numpy as np

from jmim.nn.nets import token_encoder as tokens

RNG = np.random.default_rng(0)


def test_places_are_points_of_a_grid_row_by_row():
  xy = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]])
  found = tokens.points(xy, 5)
  np.testing.assert_array_equal(found, [0, 4, 20, 24, 12])


def test_a_layout_has_three_tokens_per_object_and_two_of_the_crop():
  categories = np.array([[3, -1]])
  boxes = np.array([[[0.0, 0.0, 0.5, 0.5], [0.2, 0.2, 0.2, 0.2]]])
  crop = np.array([[0.0, 0.0, 1.0, 1.0]])
  found = np.asarray(tokens.layout(categories, boxes, crop, 25))
  assert found.shape == (1, 3 * 2 + 2)
  np.testing.assert_array_equal(found[0, :3], [3, 0, 12])
  np.testing.assert_array_equal(found[0, 3:6], [24, 24, 24])  # no object
  np.testing.assert_array_equal(found[0, 6:], [0, 24])


def test_every_token_sees_every_other_and_its_place(fill):
  net = tokens.TokenEncoder(
    vocabulary=7, length=5, width=6, depth=1, heads=2, head_width=4
  )
  ids = RNG.integers(0, 7, (2, 5))
  variables = fill(net, ids)
  found = np.asarray(net.apply(variables, ids))
  other = ids.copy()
  other[:, 0] = (other[:, 0] + 1) % 7
  moved = np.abs(np.asarray(net.apply(variables, other)) - found).max(-1)
  assert (moved > 1e-6).all()
  same = np.zeros((1, 5), int)
  rows = np.asarray(net.apply(variables, same))[0]
  assert np.abs(rows[1:] - rows[:-1]).max(-1).min() > 1e-3
