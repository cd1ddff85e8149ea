import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import told

BATCH = {"index": jnp.arange(3), "label": jnp.array([2, 0, 1])}


def test_its_own_class_stays():
  assert told.shown("own", 0, BATCH, {}) is BATCH


def test_always_the_same_even_where_the_batch_has_none():
  found = told.shown("label", 3, {"index": BATCH["index"]}, {})
  np.testing.assert_array_equal(found["label"], 3)
  assert found["label"].shape == (3,)


def test_a_random_one_is_that_of_the_draws():
  draws = [
    told.draw("random", 3, randomness.Keys(jax.random.key(i)))["label"]
    for i in range(12)
  ]
  assert {int(x) for x in draws} == {0, 1, 2}
  label = {"label": jnp.array([1, 1, 0])}
  np.testing.assert_array_equal(
    told.shown("random", 0, BATCH, label)["label"], [1, 1, 0]
  )
  keys = randomness.Keys(jax.random.key(0))
  assert told.draw("own", 3, keys) == told.draw("label", 3, keys) == {}


def test_a_class_is_read_where_it_is_told():
  inputs = {"label": method.Input(()), "image": method.Input((4, 4, 3))}
  assert told.reads("own", inputs) == inputs
  for other in ("random", "label"):
    assert set(told.reads(other, inputs)) == {"image"}


def test_another_text_stands_in_the_place_of_its_own():
  inputs = {"tokens": method.Input((4,)), "label": method.Input(())}
  found = told.reads("target", inputs)
  assert found == {"target_tokens": inputs["tokens"], "label": inputs["label"]}
  told.check("target", 0, 0, "target", inputs=inputs)
  for none in (None, {"label": inputs["label"]}):
    with pytest.raises(ValueError, match="source is told no tokens"):
      told.check("target", 0, 3, "source", inputs=none)
  batch = BATCH | {
    "tokens": jnp.zeros((3, 4)),
    "target_tokens": jnp.ones((3, 4)),
  }
  shown = told.shown("target", 0, batch, {})
  np.testing.assert_array_equal(shown["tokens"], 1.0)
  np.testing.assert_array_equal(shown["label"], BATCH["label"])
  assert told.draw("target", 3, randomness.Keys(jax.random.key(0))) == {}


def test_examples_of_more_classes_than_the_model_has_are_named():
  with pytest.raises(ValueError, match="told='own': 3 classes, and target has"):
    told.check("own", 0, 2, "target", own=3)
  told.check("own", 0, 3, "target", own=2)
  told.check("own", 0, 0, "target", own=3)  # it is told nothing
  told.check("random", 0, 2, "target", own=3)


@pytest.mark.parametrize(
  "args, words",
  [
    (("random", 0, 0), "told='random', and target has no classes"),
    (("label", 3, 3), "label=3 of 3 classes of target"),
  ],
)
def test_classes_that_are_not_there_are_named(args, words):
  with pytest.raises(ValueError, match=words):
    told.check(*args, "target")
  told.check("own", 9, 0, "target")
  told.check("label", 2, 3, "target")
