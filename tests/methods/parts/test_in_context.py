import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import in_context

PART = in_context.InContext(pairs=3, least=1, drop=0.25)
NUMBERS = jnp.arange(4)


def test_frames_are_pairs_in_turn_then_the_query(normal):
  inputs, targets = normal(2, 4, 3), normal(2, 4, 3, seed=1)
  frames = np.stack([inputs, targets], axis=2).reshape(2, 8, 3)
  assert PART.total == 8 and PART.frames == 7
  context, target = PART.split(frames)
  for n in range(3):
    np.testing.assert_array_equal(context[:, 2 * n], inputs[:, n])
    np.testing.assert_array_equal(context[:, 2 * n + 1], targets[:, n])
  np.testing.assert_array_equal(context[:, 6], inputs[:, 3])
  np.testing.assert_array_equal(target[:, 0], targets[:, 3])
  last = PART.last(context, 1)
  np.testing.assert_array_equal(last, context[:, 4:])


def test_targets_may_have_several_frames():
  part = in_context.InContext(pairs=2, target_frames=3)
  frames = np.arange(part.total)[None]
  context, target = part.split(frames)
  assert part.total == 12
  np.testing.assert_array_equal(target[0], [9, 10, 11])
  np.testing.assert_array_equal(part.last(context, 1)[0], [4, 5, 6, 7, 8])


def test_no_context_is_a_zero_frame_and_the_query(normal):
  context = normal(2, 7, 4, 4, 3)
  null = in_context.null(context)
  np.testing.assert_array_equal(null[:, 0], 0)
  np.testing.assert_array_equal(null[:, 1:], context[:, 6:])


def test_what_is_dropped_is_hidden_in_a_context_of_one_length(normal):
  context = normal(3, 7, 2, 2, 3)
  draws = {
    "context_drop": jnp.array([True, False, False]),
    "pairs": jnp.array([3, 1, 3]),
  }
  found, mask = PART.hidden(context, draws)
  seen = [[5, 6], [4, 5, 6], list(range(7))]
  for row, places in zip(np.asarray(mask), seen, strict=True):
    np.testing.assert_array_equal(np.flatnonzero(row), places)
  np.testing.assert_array_equal(found[0, 5:], in_context.null(context)[0])
  np.testing.assert_array_equal(found[1:], context[1:])


def test_nothing_drawn_is_nothing_hidden(normal):
  context, whole = normal(1, 7, 2), in_context.InContext(pairs=3, drop=0.0)
  draws = whole.draw(randomness.Keys(jax.random.key(0)), (1,))
  found, mask = whole.hidden(context, draws)
  assert draws == {} and mask is None and found is context


def test_numbers_of_pairs_and_drops_are_drawn_as_often_as_they_should():
  draws = PART.draw(randomness.Keys(jax.random.key(0)), (4000,))
  assert abs(draws["context_drop"].mean() - 0.25) < 0.02
  counts = np.bincount(draws["pairs"], minlength=4)
  assert counts[0] == 0 and (np.abs(counts[1:] / 4000 - 1 / 3) < 0.03).all()


def test_templates_are_of_the_task_and_drawn_by_number():
  part = in_context.InContext(pairs=3, shown=5, templates="file", each=4)
  every = np.arange(3 * 4 * 2, dtype=np.float32).reshape(3, 4, 2, 1, 1, 1)
  weights = method.Weights({}, consts={"templates": {"pairs": every}})
  task = jnp.array([2, 0, 2, 1])
  draw = lambda t, n: np.asarray(
    part.from_templates(weights, t, jax.random.key(0), n)
  )
  found = draw(task, NUMBERS)[..., 0, 0, 0]
  assert found.shape == (4, 10)
  for row, i in zip(found, task, strict=True):
    inputs, targets = row[::2], row[1::2]
    np.testing.assert_array_equal(targets, inputs + 1)
    assert (inputs // 8 == i).all() and (inputs % 2 == 0).all()
    assert len(set(inputs)) < 5  # four templates, with repetition
  np.testing.assert_array_equal(
    draw(task[2:], NUMBERS[2:])[..., 0, 0, 0], found[2:]
  )
  shape = part.consts(3, (1, 1, 1))["templates"].init(jax.random.key(0))
  assert shape["pairs"].shape == every.shape


@pytest.mark.parametrize(
  "fields, made, count, message",
  [
    (dict(least=5), True, 3, "context.least 5"),
    (dict(target_frames=2), True, 3, "context.target_frames 2"),
    (dict(shown=6), True, 3, "context.shown 6"),
    (dict(templates="x"), True, 3, "without context.each"),
    (dict(templates="x", each=2), False, 0, "without tasks.stored"),
  ],
)
def test_fields_must_go_together(fields, made, count, message):
  with pytest.raises(ValueError, match=message):
    in_context.InContext(**fields).check(made, count)
