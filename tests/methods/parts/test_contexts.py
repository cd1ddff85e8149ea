import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.methods.parts import contexts


def of(task, length=6):
  return contexts.Context(
    task=task,
    width=6,
    vocabulary=16,
    length=length,
    depth=1,
    heads=1,
    rt=runtime.Runtime(),
  )


@pytest.mark.parametrize(
  "task, null", [("layout", 15), ("tokens", 0), ("class", 4), ("context", 0)]
)
def test_every_task_knows_what_stands_for_none(task, null):
  ids = jnp.arange(6).reshape(1, 6)
  np.testing.assert_array_equal(
    of(task).null_ids(ids, 4), np.full((1, 6), null)
  )


def test_a_class_is_a_row_of_a_table_with_one_more_for_none():
  part = of("class", 1)
  params = jax.jit(part.init, static_argnums=1)(jax.random.key(0), 4)
  assert params["classes"].shape == (5, 6)
  ids = part.ids({"label": np.array([2, 0])})
  np.testing.assert_array_equal(
    part.embed(params, ids)[:, 0], params["classes"][np.array([2, 0])]
  )


def test_tokens_and_layouts_go_through_a_network_of_their_length():
  part = of("layout", 3 * 2 + 2)
  batch = {
    "objects": np.array([[[3, 0, 0, 0.5, 0.5], [-1, 0, 0, 0, 0]]]),
    "crop": np.array([[0.0, 0.0, 1.0, 1.0]]),
  }
  ids = part.ids(batch)
  np.testing.assert_array_equal(ids[0, 3:6], [15, 15, 15])  # no object
  params = jax.jit(part.init, static_argnums=1)(jax.random.key(0), 0)
  assert jax.jit(part.embed)(params, ids).shape == (1, 8, 6)
  tokens = {"tokens": np.array([[1, 2]])}
  assert of("tokens").ids(tokens) is tokens["tokens"]


def test_words_are_rows_of_a_table_but_what_fills_up():
  part, batch = of("words"), {"tokens": np.array([[3, 3, 0]])}
  assert part.entries()["tokens"].high == 16
  params = jax.jit(part.init, static_argnums=1)(jax.random.key(0), 0)
  found = part.embed(params, part.ids(batch))
  np.testing.assert_array_equal(found[0, 0], params["words"][3])
  np.testing.assert_array_equal(found[0, 0], found[0, 1])
  assert not found[0, 2].any()


def test_stored_features_are_their_own_vectors():
  part, batch = of("context"), {"context": np.ones((2, 6, 6))}
  ids = part.ids(batch)
  assert part.embed(part.init(jax.random.key(0), 0), ids) is batch["context"]
