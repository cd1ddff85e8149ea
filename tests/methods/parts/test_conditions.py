import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import conditions
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import labels

PIXELS = stages.FirstStage()
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
CLASS = conditions.Condition(task="class", transformer=1, context=6)
HOLE = conditions.Condition(task="inpaint")


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


def test_a_hole_is_a_quarter_to_half_of_each_side_inside_of_the_image():
  u = RNG.random((200, 4)).astype(np.float32)
  hole = np.asarray(HOLE.hole(u, 32))[..., 0]
  height, width = hole.max(2).sum(1), hole.max(1).sum(1)
  for extent in (height, width):
    assert extent.min() >= 7 and extent.max() <= 17
  np.testing.assert_array_equal(hole.sum((1, 2)), height * width)


def test_inpainting_shows_the_image_without_its_hole_and_where_it_is():
  batch = {"image": IMAGES, "hole": RNG.random((3, 4)).astype(np.float32)}
  found = HOLE.shown(weights_of(HOLE), batch, PIXELS, None)["concat"]
  hole = np.asarray(HOLE.hole(batch["hole"], 8))
  assert found.shape[-1] - 3 == HOLE.channels(3) - 3 == 1
  np.testing.assert_array_equal(
    found[..., :3], np.where(hole > 0, -1.0, IMAGES)
  )
  np.testing.assert_array_equal(found[..., 3:], 2 * hole - 1)
  made = HOLE.fill(jnp.zeros_like(IMAGES), batch)
  np.testing.assert_array_equal(made, np.where(hole > 0, 0.0, IMAGES))


def test_a_semantic_map_is_linear_in_its_classes():
  part = conditions.Condition(task="semantic", segments=4)
  weights = weights_of(part)
  kernel = weights.params["main"]["condition"]["segments"]["kernel"]
  maps = RNG.integers(0, 4, (2, 8, 8))
  shown = part.shown(weights, {"segmentation": maps}, PIXELS, None)
  np.testing.assert_allclose(shown["concat"], np.asarray(kernel)[maps], 1e-6)


def test_layouts_and_tokens_know_what_stands_for_none():
  ids = jnp.arange(6).reshape(1, 6)
  for task, null in (("layout", 15), ("tokens", 0)):
    part = conditions.Condition(task=task, vocabulary=16, transformer=1)
    np.testing.assert_array_equal(part.null_ids(ids, 0), np.full((1, 6), null))


def test_draws_are_those_of_the_task():
  for task, name in (
    ("tokens", {"label_drop"}),
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
