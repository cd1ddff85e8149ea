import jax
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import factorised


def test_layers_see_frames_and_places_in_turn(normal):
  """Plain attention among the tokens of a frame, or of a place."""
  t, s = 3, 4
  q, k, v = (normal(2, 2, t * s, 5, seed=i) for i in range(3))
  attend, states = factorised.make(runtime.Runtime(), t, depth=4)
  np.testing.assert_array_equal(states, [0, 1, 0, 1])
  frame, place = np.divmod(np.arange(t * s), s)
  for state, group in zip(states[:2], (frame, place), strict=True):
    found, after = jax.jit(attend)(q, k, v, state)
    assert after == state
    for which in set(group):
      rows = np.flatnonzero(group == which)
      wanted = attention.attend(*(a[:, :, rows] for a in (q, k, v)))
      np.testing.assert_allclose(found[:, :, rows], wanted, atol=1e-5)
