import math

import numpy as np

from jmim.nn import waves


def test_sines_come_first_and_frequencies_of_a_number_together():
  x = np.array([[0.3, -1.2]], np.float32)
  found = np.asarray(waves.waves(x, 3, scale=math.pi))[0]
  angles = [math.pi * 2**k * v for v in x[0] for k in range(3)]
  want = [*map(math.sin, angles), *map(math.cos, angles)]
  np.testing.assert_allclose(found, want, atol=1e-5)


def test_no_frequencies_are_no_numbers():
  assert waves.waves(np.ones((2, 3), np.float32), 0).shape == (2, 0)
