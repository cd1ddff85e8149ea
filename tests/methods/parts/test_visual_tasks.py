import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import visual_tasks
from jmim.nn import visual_tasks as functions

PART = visual_tasks.VisualTasks(
  trained=("flip", "invert", "roll"), held_out=("blur",)
)
FRAMES = {"video": method.Input((6, 8, 8, 3))}
KEY = jax.random.key(0)


def test_all_twelve_are_trained_but_two():
  part = visual_tasks.VisualTasks()
  assert len(part.trained) == 10 and len(part.held_out) == 2
  assert set(part.names) == set(functions.TASKS)


def test_tasks_of_training_are_drawn_and_no_other():
  draws = PART.draw(randomness.Keys(KEY), 3000, 2)
  counts = np.bincount(draws["task"], minlength=4)
  assert counts[3] == 0 and (np.abs(counts[:3] / 1000 - 1) < 0.1).all()
  assert draws["where"].shape == (3000, 2, 4)
  others = np.asarray(PART.others(draws, jax.random.key(1)))
  assert (others != draws["task"]).all() and others.max() == 2
  steps = (others - draws["task"]) % 3
  assert abs(steps.mean() - 1.5) < 0.05
  # Of a task that is held out, any of training.
  held = PART.others({"task": jnp.full(3000, 3)}, KEY)
  counts = np.bincount(held, minlength=4)
  assert counts[3] == 0 and (np.abs(counts[:3] / 1000 - 1) < 0.1).all()


def test_pairs_are_made_by_the_drawn_task(normal):
  x = np.tanh(normal(2, 3, 4, 4, 3))
  draws = {"task": jnp.array([1, 3]), "where": normal(2, 3, 4)}
  inputs, targets = PART.pairs(x, draws)
  np.testing.assert_array_equal(inputs, x)
  np.testing.assert_array_equal(targets[0], -x[0])
  np.testing.assert_allclose(targets[1], functions.blur(x[1], None)[1])
  told = PART.told({"video": x, "label": 1}, draws)
  np.testing.assert_array_equal(told["video"][:, ::2], inputs)
  np.testing.assert_array_equal(told["video"][:, 1::2], targets)
  assert told["label"] == 1


def test_samples_are_of_all_tasks_in_turn_or_of_one():
  numbers = jnp.array([0, 5, 7])
  found = PART.of_samples(KEY, numbers, 2)
  np.testing.assert_array_equal(found["task"], [0, 1, 3])
  alone = PART.of_samples(KEY, numbers[1:2], 2)
  np.testing.assert_array_equal(alone["where"], found["where"][1:2])
  asked = dataclasses.replace(PART, task="blur")
  np.testing.assert_array_equal(asked.of_samples(KEY, numbers, 2)["task"], 3)


def test_what_is_read_of_a_batch():
  assert PART.inputs(FRAMES, 3)["video"].shape == (3, 8, 8, 3)
  new = dataclasses.replace(PART, new=True).inputs(FRAMES, 3)
  assert new["label"].high == 2
  stored = visual_tasks.VisualTasks(source="stored", stored=20)
  assert stored.inputs(FRAMES, 3)["video"] == FRAMES["video"]
  assert stored.inputs(FRAMES, 3)["label"].high == 20
  assert stored.count == 20 and PART.count == 4
  assert stored.draw(randomness.Keys(KEY), 2, 3) == {}
  assert stored.of_samples(KEY, jnp.arange(2), 3) == {}


@pytest.mark.parametrize(
  "fields, message",
  [
    (dict(trained=("flip", "flap")), "tasks: flap; there are identity"),
    (dict(trained=("flip",)), "two or more to learn"),
    (dict(held_out=("flip",)), "each task once"),
    (dict(task="mask"), "tasks.task 'mask' is neither"),
    (dict(held_out=("transpose",)), r"'transpose' of pictures of \(8, 4\)"),
  ],
)
def test_bad_fields_are_named(fields, message):
  video = {"video": method.Input((6, 8, 4, 3))}
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(PART, **fields).inputs(video, 3)


def test_pairs_cannot_be_made_of_moments():
  with pytest.raises(ValueError, match="first_stage.read 'moments'"):
    PART.inputs({"moments": method.Input((6, 2, 2, 4))}, 3)
