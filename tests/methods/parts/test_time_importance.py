import jax.numpy as jnp
import numpy as np

from jmim.core import randomness
from jmim.methods.parts import time_importance

PART = time_importance.TimeImportance()
HISTORY = jnp.array([9.0, 4.0, 1.0, 0.0])
KNOWN = {"history": HISTORY, "seen": jnp.full(4, 11.0)}


def test_times_are_uniform_until_all_were_seen():
  early = KNOWN | {"seen": jnp.array([11.0, 11.0, 10.0, 50.0])}
  np.testing.assert_allclose(PART.probabilities(early), 0.25)
  root = np.array([2, 2, 1, 1e-5]) + 1e-4  # the first is that of the second
  found = PART.probabilities(KNOWN)
  np.testing.assert_allclose(found, root / root.sum(), rtol=1e-4)


def test_times_are_chosen_by_these_probabilities():
  u = (jnp.arange(10_000) + 0.5) / 10_000
  t, p = PART.choose(KNOWN, {"time": u})
  share = np.bincount(t, minlength=4) / len(t)
  expected = np.asarray(PART.probabilities(KNOWN))
  np.testing.assert_allclose(share, expected, atol=2e-4)
  np.testing.assert_array_equal(p, expected[np.asarray(t)])
  last, _ = PART.choose(KNOWN, {"time": jnp.array([1.0])})
  assert last[0] == 3


def moved(extra, t, term, parts):
  """A batch in so many parts: statistics are averaged, as a step does."""
  b = len(t)
  rows = np.array_split(np.arange(b), parts)
  found = [
    PART.statistics(4, t[r], term[r], {"examples": jnp.full(len(r), float(b))})
    for r in rows
  ]
  mean = {k: sum(f[k] for f in found) / parts for k in found[0]}
  return PART.moved(extra, mean)


def test_the_history_follows_and_does_not_depend_on_parts():
  t, term = jnp.array([1, 1, 3, 1]), jnp.array([1.0, 2.0, 3.0, 4.0])
  made = moved(KNOWN, t, term, 1)
  # The mean of equal times; what was not seen stays.
  expected = [9.0, 0.9 * 4 + 0.1 * (1 + 4 + 16) / 3, 1.0, 0.1 * 9]
  np.testing.assert_allclose(made["history"], expected, rtol=1e-6)
  np.testing.assert_array_equal(made["seen"], [11, 14, 11, 12])
  again = moved(KNOWN, t, term, 2)
  for name, value in made.items():
    np.testing.assert_allclose(again[name], value, rtol=1e-6)


def test_what_is_drawn():
  draws = PART.draw(randomness.Keys(jnp.zeros(2, jnp.uint32)), (5, 7))
  assert draws["time"].shape == (5,) and (draws["examples"] == 5).all()
  start = PART.extra(6)
  assert {k: v.shape for k, v in start.items()} == {
    "history": (6,),
    "seen": (6,),
  }
