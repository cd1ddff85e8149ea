import numpy as np

from jmim.metrics import flow


def test_errors_are_lengths_of_differences():
  truth = np.zeros((1, 2, 2, 2), np.float32)
  guess = truth.copy()
  guess[0, 0, 0], guess[0, 1, 1] = [3, 4], [0, -2]
  np.testing.assert_allclose(
    flow.end_point_error(guess, truth), [[[5, 0], [0, 2]]]
  )


def test_spread_is_the_deviation_of_places():
  flows = np.zeros((1, 4, 1, 1, 2), np.float32)
  flows[0, :, 0, 0] = [[1, 0], [-1, 0], [0, 2], [0, -2]]
  np.testing.assert_allclose(flow.spread(flows), np.sqrt((1 + 1 + 4 + 4) / 4))
  moved = flow.spread(flows + np.float32([5, -3]))
  np.testing.assert_allclose(moved, flow.spread(flows), rtol=1e-5)
  assert flow.spread(flows[:, :1]) == 0
