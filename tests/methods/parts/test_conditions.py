import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import conditions
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import labels
from jmim.methods.parts import text as texts

PIXELS = stages.FirstStage()
CLASS = conditions.Condition(task="class", transformer=1, context=6)


def weights_of(condition, classes=0):
  params = condition.init(jax.random.key(0), classes)
  return methods.Weights({"main": {"condition": params}})


def test_a_class_is_a_row_of_a_table_whose_last_stands_for_none():
  weights = weights_of(CLASS, 4)
  table = weights.params["main"]["condition"]["classes"]
  shown, null = CLASS.guiding(weights, {"label": np.array([2, 0])}, PIXELS, 4)
  np.testing.assert_array_equal(shown["context"][:, 0], table[np.array([2, 0])])
  np.testing.assert_array_equal(null["context"][:, 0], table[np.array([4, 4])])


def test_dropped_contexts_are_those_of_none():
  weights, batch = weights_of(CLASS, 4), {"label": np.array([2, 0])}
  draws = {"label_drop": np.array([0.05, 0.5])}
  label = labels.Labels(classes=4, drop=0.1)
  shown = CLASS.in_training(weights, batch, draws, PIXELS, label=label)
  table = weights.params["main"]["condition"]["classes"]
  np.testing.assert_array_equal(shown["context"][:, 0], table[np.array([4, 0])])


TEXT = conditions.Condition(task="context", transformer=1, context=6, tokens=5)


def test_stored_features_are_the_context_and_zeros_or_a_file_that_of_none(
  normal,
):
  batch = {"context": normal(2, 5, 6)}
  assert TEXT.inputs(8, PIXELS, 0)["context"].shape == (5, 6)
  assert TEXT.init(jax.random.key(0), 0) == {} == TEXT.consts()
  weights = weights_of(TEXT)
  shown, null = TEXT.guiding(weights, batch, PIXELS, 0)
  assert shown["context"] is batch["context"] and not null["context"].any()
  # Those of no text are a const, the same for all.
  stored = dataclasses.replace(TEXT, null="empty.npz")
  const = stored.consts()["null"]
  made = const.init(jax.random.key(0))
  assert const.path == "empty.npz" and made["context"].shape == (5, 6)
  weights = methods.Weights(weights.params, {}, {"null": made})
  _, null = stored.guiding(weights, batch, PIXELS, 0)
  np.testing.assert_array_equal(null["context"][1], made["context"])
  # A text is dropped whole.
  draws, label = {"label_drop": np.array([0.05, 0.5])}, labels.Labels(drop=0.1)
  shown = stored.in_training(weights, batch, draws, PIXELS, label=label)
  wanted = np.stack([made["context"], batch["context"][1]])
  np.testing.assert_array_equal(shown["context"], wanted)
  other = dataclasses.replace(CLASS, null="empty.npz")
  with pytest.raises(ValueError, match="null with .* 'class'"):
    other.inputs(8, PIXELS, 4)


def test_a_text_goes_through_its_encoder_and_none_is_an_empty_one():
  sizes = dict(vocabulary=9, length=5, width=6, depth=1, heads=2)
  words = texts.Text(**sizes, start=1, end=2, pad=0)
  told = conditions.Condition(task="text", transformer=1, text=words)
  assert told.contexts.width == 6
  assert told.inputs(8, PIXELS, 0)["tokens"].shape == (5,)
  weights = weights_of(told)
  own = weights.params["main"]["condition"]["text"]
  ids = np.array([[1, 5, 6, 2, 0], [1, 7, 2, 0, 0]])
  shown, null = told.guiding(weights, {"tokens": ids}, PIXELS, 0)
  wanted = words.encode(weights, own, ids).tokens
  np.testing.assert_allclose(shown["context"], wanted, atol=1e-6)
  empty = words.encode(weights, own, np.array([[1, 2, 0, 0, 0]])).tokens
  np.testing.assert_allclose(null["context"], empty.repeat(2, 0), atol=1e-6)
  # Frozen, it is no parameter, and says the same.
  frozen = dataclasses.replace(told, text=dataclasses.replace(words, path="R"))
  assert frozen.init(jax.random.key(0), 0) == {}
  assert frozen.consts()["text"].key == "method.condition.text.path"
  weights = methods.Weights({"main": {}}, {}, {"text": own})
  again, _ = frozen.guiding(weights, {"tokens": ids}, PIXELS, 0)
  np.testing.assert_allclose(again["context"], wanted, atol=1e-6)


def test_draws_are_those_of_the_task():
  for task, name in (
    ("tokens", {"label_drop"}),
    ("context", {"label_drop"}),
    ("text", {"label_drop"}),
    ("layout", {"label_drop"}),
    ("inpaint", {"hole"}),
    ("class", set()),  # the labels' own
    ("semantic", set()),
  ):
    keys = randomness.Keys(jax.random.key(0))
    part = conditions.Condition(task=task)
    assert set(part.draw(keys, (2, 4, 4, 3))) == name


@pytest.mark.parametrize(
  "condition, classes, seen",
  [
    (dataclasses.replace(CLASS, transformer=0), 4, "blocks of cross-attention"),
    (conditions.Condition(transformer=1), 0, "need a context"),
    (CLASS, 0, "with 0 classes"),
    (conditions.Condition(task="superres"), 0, "for its factor"),
  ],
)
def test_tasks_whose_condition_cannot_be_made_are_refused(
  condition, classes, seen
):
  with pytest.raises(ValueError, match=seen):
    condition.inputs(8, PIXELS, classes)


def test_one_task_makes_a_context_or_channels():
  for task in conditions.TASKS:
    part = conditions.Condition(task=task)
    made = [bool(part.contexts), bool(part.channels)]
    assert sum(made) == (task != "none")


def test_sampling_reads_what_the_condition_is_made_of():
  reads = lambda task: conditions.Condition(task=task).reads()
  assert reads("layout") == ("objects", "crop")
  assert reads("inpaint") == reads("superres") == ("image",)
  assert reads("semantic") == ("segmentation",)
  assert reads("context") == ("context",)
  assert reads("class") == reads("none") == ()


def test_a_task_without_parameters_needs_no_tree_of_them():
  """As of a run that was loaded: empty trees are not stored."""
  shown = conditions.Condition().guiding(
    methods.Weights({"main": {"net": {}}}), {}, PIXELS, 0
  )
  assert shown == ({}, {})
