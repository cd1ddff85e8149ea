import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import losses


def test_smooth_l1_by_hand_and_without_a_kink():
  error = jnp.asarray([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
  value = [2.5, 0.5, 0.125, 0, 0.125, 0.5, 2.5]
  np.testing.assert_allclose(losses.smooth_l1(error), value)
  slope = jax.vmap(jax.grad(losses.smooth_l1))(error)
  np.testing.assert_allclose(slope, np.clip(error, -1, 1))


@pytest.mark.parametrize(
  "name, value", [("smoothl1", [1, 0.25, 0, 5]), ("l2", [1, 0.25, 0, 9])]
)
def test_distances_agree_with_the_square_below_one(name, value):
  error = jnp.asarray([-1.0, 0.5, 0.0, 3.0])
  np.testing.assert_allclose(losses.DISTANCES[name](error), value)


def test_the_soft_loss_is_the_hard_one_averaged_over_the_target(normal):
  logits = normal(4, 3).astype(np.float64)
  targets = np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
  logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  hard = -logp[np.arange(2), [0, 2]]
  soft = -(logp[2, :2].mean()), -(logp[3] @ [0.2, 0.3, 0.5])
  np.testing.assert_allclose(
    losses.soft_cross_entropy(logits, targets),
    np.mean([*hard, *soft]),
    rtol=1e-5,
  )


def test_targets_are_float32_and_of_the_scale_their_names_say(normal):
  x = jnp.asarray(2 + 5 * normal(2, 8, 16), jnp.bfloat16)
  made = {name: np.asarray(f(x)) for name, f in losses.TARGETS.items()}
  assert {y.dtype for y in made.values()} == {np.dtype(np.float32)}
  np.testing.assert_array_equal(made["none"], np.asarray(x, np.float32))
  np.testing.assert_allclose((made["l2"] ** 2).sum(-1), 1, rtol=1e-5)
  np.testing.assert_allclose(made["whiten"].var(-1), 1, rtol=1e-4)
  np.testing.assert_allclose(made["bn"].var(ddof=1), 1, rtol=1e-5)


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_the_contrast_of_clustered_and_of_equal_tokens_is_known(tau):
  """64 tokens of 4 labels: one direction each, and one for all."""
  labels = np.arange(64)[None] % 4
  apart = 3 * np.eye(8, dtype=np.float32)[labels]
  found = losses.supervised_contrastive(apart, labels, tau)
  np.testing.assert_allclose(found, np.log(15 + 48 * np.exp(-1 / tau)), 1e-6)
  if tau == 0.25:
    np.testing.assert_allclose(found, 2.765, atol=5e-4)
  alike = np.ones((1, 64, 8), np.float32)
  found = losses.supervised_contrastive(alike, labels, tau)
  np.testing.assert_allclose(found, np.log(63), rtol=1e-6)


def test_the_contrast_is_the_mean_over_tokens_and_positives(normal):
  x, labels, tau = normal(2, 5, 3), np.array([[0, 1, 0, 0, 2]] * 2), 0.5
  u = x / np.linalg.norm(x, axis=-1, keepdims=True)
  e = np.exp(np.einsum("bnw,bmw->bnm", u, u) / tau)
  wanted = np.zeros(2)
  for b, j in np.ndindex(2, 5):
    others = [k for k in range(5) if k != j]
    same = [i for i in others if labels[b, i] == labels[b, j]]
    terms = [np.log(e[b, j, i] / e[b, j, others].sum()) for i in same]
    wanted[b] -= np.mean(terms) / 5 if terms else 0
  found = losses.supervised_contrastive(x, labels, tau)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
