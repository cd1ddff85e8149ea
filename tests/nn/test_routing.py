import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import routing

E, K = 4, 2


def test_balance_is_1_where_scores_or_shares_are_uniform(normal):
  flat = routing.route(jnp.zeros((7, E)), K)
  np.testing.assert_allclose(routing.balance(flat), 1, rtol=1e-6)
  each = routing.route(5 * jnp.tile(jnp.eye(E), (3, 1)), 1)
  np.testing.assert_allclose(routing.balance(each), 1, rtol=1e-6)
  chosen = routing.route(normal(50, E), K)
  np.testing.assert_allclose(routing.load(chosen.chosen, E).sum(), 1, rtol=1e-6)


def test_balance_pulls_through_the_scores_only(normal):
  logits = jnp.asarray(normal(30, E))
  chosen = routing.route(logits, K)
  share = routing.load(chosen.chosen, E)
  wanted = jax.grad(lambda z: E * (jax.nn.softmax(z).mean(0) * share).sum())
  found = jax.grad(lambda z: routing.balance(routing.route(z, K)))
  np.testing.assert_allclose(found(logits), wanted(logits), atol=1e-7)


def test_normalised_weights_sum_to_1_and_one_expert_keeps_its_score(normal):
  logits = jnp.asarray(normal(9, E))
  plain = routing.route(logits, K)
  shares = routing.route(logits, K, normalise=True)
  np.testing.assert_array_equal(shares.chosen, plain.chosen)
  expected = plain.weights / plain.weights.sum(-1, keepdims=True)
  np.testing.assert_allclose(shares.weights, expected, rtol=1e-6)
  one = routing.route(logits, 1, normalise=True)
  np.testing.assert_allclose(one.weights[:, 0], one.scores.max(-1))


def test_balance_of_examples_sees_what_the_batch_hides():
  # Each example uses one expert only, the batch all of them equally.
  logits = 20.0 * jnp.eye(E)[:, None].repeat(3, axis=1)
  chosen = routing.route(logits, 1)
  np.testing.assert_allclose(routing.balance(chosen), 1, rtol=1e-6)
  alone = routing.balance(chosen, per_example=True)
  np.testing.assert_allclose(alone, E, rtol=1e-6)


@pytest.mark.parametrize("per_example", [False, True])
def test_balance_of_valid_tokens_is_that_of_them_alone(normal, per_example):
  logits = jnp.asarray(normal(3, 10, E))
  valid = jnp.asarray(np.arange(10) < 6) & jnp.ones((3, 1), bool)
  found = routing.balance(routing.route(logits, K), per_example, valid)
  alone = routing.balance(routing.route(logits[:, :6], K), per_example)
  np.testing.assert_allclose(found, alone, rtol=1e-6)
  every = routing.balance(routing.route(logits, K), per_example, valid | True)
  np.testing.assert_allclose(
    every, routing.balance(routing.route(logits, K), per_example), rtol=1e-6
  )


def test_entropy_of_valid_tokens_is_that_of_them_alone(normal):
  scores = jax.nn.softmax(normal(2, 5, E))
  valid = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 1, 1]], bool)
  found = routing.entropy(scores, jnp.asarray(valid))
  np.testing.assert_allclose(found, routing.entropy(scores[valid]), rtol=1e-6)
  assert abs(found - routing.entropy(scores)) > 1e-3
