import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import code_condition

CLASS = code_condition.CodeCondition(kind="class", classes=3, drop=0.5)
TEXT = code_condition.CodeCondition(kind="text", tokens=2, width=3)
LEARNED = dataclasses.replace(TEXT, learn_null=True, drop=0.5)
LABEL = {"label": jnp.array([0, 1, 2])}
CONTEXT = {"context": jnp.ones((3, 2, 3))}
NONE = methods.Weights({"main": {}})
DROP = {"drop": jnp.array([0.1, 0.6, 0.49])}


def test_what_is_read():
  assert CLASS.inputs()["label"].high == 3
  assert TEXT.inputs()["context"].shape == (2, 3)
  nothing = code_condition.CodeCondition()
  assert nothing.inputs() == {} and nothing.told(LABEL) is None
  assert nothing.in_training(NONE, LABEL, {}) is None
  assert TEXT.consts() == {} and CLASS.consts() == {}


def test_dropped_classes_are_the_row_after_the_last():
  found = CLASS.in_training(NONE, LABEL, DROP)
  np.testing.assert_array_equal(found, [3, 1, 3])
  draws = CLASS.draw(randomness.Keys(jax.random.key(0)), (4, 9))
  assert draws["drop"].shape == (4,)
  kept = dataclasses.replace(CLASS, drop=0.0)
  assert kept.draw(randomness.Keys(jax.random.key(0)), (4, 9)) == {}
  np.testing.assert_array_equal(
    kept.in_training(NONE, LABEL, {}), LABEL["label"]
  )


def test_no_text_is_zeros_learned_or_of_a_file():
  told = CONTEXT["context"]
  np.testing.assert_array_equal(TEXT.none(NONE, told), jnp.zeros((3, 2, 3)))
  params = LEARNED.init(jax.random.key(0))
  assert params["null"].shape == (2, 3) and TEXT.init(jax.random.key(0)) == {}
  weights = methods.Weights({"main": params})
  found = LEARNED.in_training(weights, CONTEXT, DROP)
  for row, expected in enumerate((params["null"], told[1], params["null"])):
    np.testing.assert_array_equal(found[row], expected)
  stored = dataclasses.replace(TEXT, null="F")
  (const,) = stored.consts().values()
  assert (const.path, const.key) == ("F", "method.condition.null")
  tree = const.init(jax.random.key(0))
  weights = methods.Weights({"main": {}}, consts={"null": tree})
  np.testing.assert_array_equal(stored.none(weights, told)[1], tree["context"])


def test_a_prompt_stands_for_the_text_that_a_batch_lacks():
  told = dataclasses.replace(LEARNED, prompt="P")
  (const,) = told.consts().values()
  assert (const.path, const.key) == ("P", "method.condition.prompt")
  tree = const.init(jax.random.key(0))
  weights = methods.Weights({"main": {}}, consts={"prompt": tree})
  made = told.wanted(weights, {"index": jnp.arange(4)})
  np.testing.assert_array_equal(made, jnp.stack([tree["context"]] * 4))
  given = told.wanted(weights, CONTEXT)
  np.testing.assert_array_equal(given, CONTEXT["context"])
  assert told.reads() == () and TEXT.reads() == ("context",)
  np.testing.assert_array_equal(CLASS.wanted(NONE, LABEL), LABEL["label"])


@pytest.mark.parametrize(
  ("fields", "text"),
  [
    (dict(kind="class"), "classes 0"),
    (dict(classes=3), "kind 'none' with condition.classes 3"),
    (dict(drop=0.1), "condition.drop 0.1 with condition.kind 'none'"),
    (dict(kind="class", classes=2, null="F"), "null .*of kind 'text'"),
    (dict(kind="class", classes=2, prompt="F"), "prompt .*of kind 'text'"),
    (dict(kind="text", null="F", learn_null=True, drop=0.1), ": one"),
    (dict(kind="text", learn_null=True), "never learned"),
  ],
)
def test_mistakes(fields, text):
  with pytest.raises(ValueError, match=text):
    code_condition.CodeCondition(**fields).inputs()
