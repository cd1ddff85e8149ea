import numpy as np

from jmim.data.procedural import gliding
from jmim.metrics import pace


def clips(value):
  """16 clips of things in all directions at one pace, and their angles."""
  rng = lambda i: np.random.default_rng(i)
  made = [
    gliding.glides(32, 5, i % 8, paces=(value,), rng=rng(i))[0]
    for i in range(16)
  ]
  return np.stack(made), 2 * np.pi * np.arange(16) / 8


def test_faster_things_are_measured_as_faster():
  slow, middle, fast = (pace.pace(*clips(v)) for v in (0.06, 0.08, 0.1))
  assert (fast > middle).mean() >= 0.9 and (middle > slow).mean() >= 0.9
  np.testing.assert_allclose(np.median(slow), 0.06, rtol=0.25)
  np.testing.assert_allclose(np.median(fast), 0.1, rtol=0.25)


def test_a_thing_that_goes_back_is_negative_and_units_do_not_count():
  x, angle = clips(0.08)
  np.testing.assert_allclose(
    pace.pace(x[:, ::-1], angle), -pace.pace(x, angle), atol=1e-12
  )
  np.testing.assert_allclose(
    pace.pace(x / 255 + 3, angle), pace.pace(x, angle), rtol=1e-6
  )
