import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import alignment
from jmim.nn import sizes

KEY, ROWS = jax.random.key(0), np.arange(2)
STUDENT = sizes.Size(width=8, depth=2, heads=2)
TEACHER = sizes.Size(width=6, depth=2, heads=2)
DEEP = dataclasses.replace(STUDENT, depth=3)
PART = alignment.Alignment(layers="top1")


def test_w_starts_as_identity_and_a_hundredth():
  w = PART.init(KEY, STUDENT, TEACHER)["fusion"]
  np.testing.assert_allclose(w, np.eye(2) + 0.01)
  mixed = dataclasses.replace(PART, fusion="sum").init(KEY, DEEP, TEACHER)
  np.testing.assert_allclose(mixed["fusion"], np.full((2, 3), 1 / 3))
  simple = dataclasses.replace(PART, fusion="simple")
  assert "fusion" not in simple.init(KEY, STUDENT, TEACHER)


def test_aligned_features_are_mixed_and_mapped(normal):
  params = PART.init(KEY, STUDENT, TEACHER)
  params["fusion"] = jnp.asarray([[1.0, 2.0], [3.0, -1.0]])
  h = normal(2, 3, 4, 8)
  x = PART.aligned(params, jnp.asarray(h), np.array([1, 0]), TEACHER)
  for row, (a, mixed) in enumerate(
    ((1, 3 * h[0] - h[1]), (0, h[0] + 2 * h[1]))
  ):
    head = jax.tree.map(lambda p, a=a: p[a], params["heads"]["layers"]["out"])
    expected = mixed @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(x[row], expected, atol=1e-5)


def test_without_w_layers_stand_one_against_one(normal):
  simple = dataclasses.replace(PART, fusion="simple")
  params, h = simple.init(KEY, STUDENT, TEACHER), normal(2, 1, 4, 8)
  x = simple.aligned(params, jnp.asarray(h), np.array([1]), TEACHER)
  head = params["heads"]["layers"]["out"]
  np.testing.assert_allclose(x[0], h[1] @ head["kernel"][1], atol=1e-5)


def test_targets_are_whitened_tokens_of_cls_and_the_kept_patches(normal):
  blocks = 3 + 2 * normal(2, 3, 5, 6)
  keep = jnp.asarray([[2, 0], [1, 3], [3, 2]])
  y = np.asarray(PART.targets(jnp.asarray(blocks), np.array([1]), keep))
  assert y.shape == (1, 3, 3, 6)
  np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(-1), 1, atol=1e-3)
  token = blocks[1, 1, 1 + 3]  # example 1, its second patch kept
  expected = (token - token.mean()) / np.sqrt(token.var() + 1e-5)
  np.testing.assert_allclose(y[0, 1, 2], expected, atol=1e-5)
  plain = dataclasses.replace(PART, target="none")
  raw = plain.targets(jnp.asarray(blocks), np.array([0]), keep)
  np.testing.assert_array_equal(raw[0, :, 0], blocks[0, :, 0])


@pytest.mark.parametrize(
  "distance, of",
  [
    ("smoothl1", lambda e: np.where(abs(e) < 1, e**2, 2 * abs(e) - 1)),
    ("l2", np.square),
    ("l1", np.abs),
  ],
)
def test_the_loss_weights_the_mean_distance_of_each_layer(normal, distance, of):
  part = dataclasses.replace(PART, distance=distance)
  x, y, w = 2 * normal(2, 3, 4, 6), normal(2, 3, 4, 6, seed=1), [0.25, 0.75]
  expected = sum(w[a] * of(x[a] - y[a]).mean() for a in range(2))
  loss = part.loss(jnp.asarray(x), jnp.asarray(y), np.array(w))
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  assert part.loss(jnp.asarray(y), jnp.asarray(y), np.array(w)) == 0


@pytest.mark.parametrize("head", ["ln-linear", "mlp", "mlp-ln"])
def test_other_heads_have_the_teachers_width(normal, head):
  part = dataclasses.replace(PART, head=head)
  params = part.init(KEY, STUDENT, TEACHER)
  x = part.aligned(params, jnp.asarray(normal(2, 1, 4, 8)), ROWS, TEACHER)
  assert x.shape == (2, 1, 4, 6) and np.isfinite(x).all()
  # Two layers start differently.
  assert not np.allclose(x[0], x[1])


@pytest.mark.parametrize(
  "part, student, message",
  [
    (PART, DEEP, "fusion 'linear' with 3 blocks and a teacher of 2"),
    (dataclasses.replace(PART, layers="top3"), STUDENT, "top3"),
    (dataclasses.replace(PART, layers="best"), STUDENT, "best"),
  ],
)
def test_what_cannot_be_aligned_is_named(part, student, message):
  with pytest.raises(ValueError, match=message):
    part.check(student, TEACHER)
  dataclasses.replace(PART, fusion="sum").check(DEEP, TEACHER)
