import jax
import numpy as np

from jmim.core import randomness
from jmim.methods.parts import labels

LABELS = labels.Labels(classes=5, drop=0.25)
BATCH = {"label": np.arange(5)}


def test_those_below_the_rate_are_replaced_by_none():
  draws = {"label_drop": np.array([0.0, 0.2, 0.25, 0.3, 0.9])}
  np.testing.assert_array_equal(LABELS.dropped(BATCH, draws), [5, 5, 2, 3, 4])


def test_the_rate_is_that_of_the_draws():
  keys = randomness.Keys(jax.random.key(0))
  drop = LABELS.draw(keys, (4000, 8, 8, 3))["label_drop"]
  shown = LABELS.dropped({"label": np.zeros(4000, int)}, {"label_drop": drop})
  np.testing.assert_allclose((np.asarray(shown) == 5).mean(), 0.25, atol=0.02)


def test_none_stands_after_the_last_class():
  shown, none = LABELS.condition(BATCH)
  np.testing.assert_array_equal(shown, np.arange(5))
  np.testing.assert_array_equal(none, LABELS.none(5))
  assert LABELS.inputs()["label"].high == 5 and none[0] == 5


def test_without_classes_there_is_no_condition():
  off, keys = labels.Labels(), randomness.Keys(jax.random.key(0))
  assert off.inputs() == off.draw(keys, (2, 4)) == {}
  assert off.dropped({}, {}) is None and off.condition({}) == (None, None)
