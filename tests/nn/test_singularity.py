import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import singularity

B, N, W, TAU = 2, 6, 5, 0.1
HIDDEN = np.array([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def x(normal):
  return jnp.asarray(normal(3, B, N, W))


def _loops(x):
  """heterogeneity, interaction, row entropy by their sums, float64."""
  u = np.asarray(x, np.float64)
  u = u / np.linalg.norm(u, axis=-1, keepdims=True)
  out = np.zeros((3, *u.shape[:2]))
  for i, b in np.ndindex(*u.shape[:2]):
    m, v = (np.flatnonzero(HIDDEN[b] == k) for k in (1, 0))
    cos = u[i, b][m] @ u[i, b][v].T
    p = np.exp(cos / TAU)
    p = p / p.sum(1, keepdims=True)
    entropy = -(p * np.log(p)).sum(1) / np.log(len(v))
    relu = np.maximum(cos, 0)
    out[:, i, b] = 1 - cos.mean(), (relu**2).mean(), entropy.mean()
  return out


def test_measures_are_their_sums(x):
  cos = singularity.cosines(x)
  wanted = _loops(x)
  found = (
    singularity.heterogeneity(cos, HIDDEN),
    singularity.interaction(cos, HIDDEN),
    singularity.row_entropy(cos, HIDDEN, TAU),
  )
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_entropy_is_between_choice_and_indifference(x):
  cos = singularity.cosines(x)
  entropy = singularity.entropy(cos, HIDDEN, TAU)
  assert (entropy >= 0).all() and (entropy <= 1 + 1e-6).all()
  equal = jnp.where(HIDDEN[..., None] > 0, x, x[:, :, :1])
  rows = singularity.entropy(singularity.cosines(equal), HIDDEN, TAU)
  np.testing.assert_allclose(rows, 1, atol=1e-5)
  # One visible patch alike, the others opposite.
  u = jnp.asarray([[[1.0, 0], [1, 0], [-1, 0], [-1, 0]]])
  hidden = np.array([[1.0, 0, 0, 0]])
  chosen = singularity.entropy(singularity.cosines(u), hidden, TAU)[0, 0]
  assert chosen < 1e-6
  one = np.array([[1.0, 1, 1, 0]])
  alone = singularity.entropy(singularity.cosines(u), one, TAU)
  np.testing.assert_array_equal(alone, 0)


def test_only_masked_tokens_are_shaped(x):
  def total(x):
    cos = singularity.cosines(x)
    return (
      singularity.interaction(cos, HIDDEN)
      + singularity.row_entropy(cos, HIDDEN, TAU)
    ).sum()

  gradient = np.abs(jax.grad(total)(x)).max(-1)
  np.testing.assert_array_equal(
    gradient > 0, np.broadcast_to(HIDDEN > 0, gradient.shape)
  )


def test_measures_do_not_depend_on_the_order_of_tokens(x):
  order = np.array([3, 0, 5, 1, 4, 2])
  for measure in (
    singularity.heterogeneity,
    singularity.interaction,
    lambda cos, hidden: singularity.row_entropy(cos, hidden, TAU),
  ):
    found = measure(singularity.cosines(x[:, :, order]), HIDDEN[:, order])
    wanted = measure(singularity.cosines(x), HIDDEN)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_token_alone_is_pushed_off_the_patches(x):
  patches, token = x[0], jnp.asarray([[[1.0, -2, 0.5, 0, 1]]])

  def value(token, patches):
    return singularity.likeness(token, patches, HIDDEN).sum()

  u = np.asarray(patches / jnp.linalg.norm(patches, axis=-1, keepdims=True))
  relu = np.maximum(u @ np.ravel(token / jnp.linalg.norm(token)), 0) ** 2
  seen = 1 - HIDDEN
  wanted = ((relu * seen).sum(1) / seen.sum(1)).sum()
  np.testing.assert_allclose(value(token, patches), wanted, rtol=1e-5)
  to_token, to_patches = jax.grad(value, argnums=(0, 1))(token, patches)
  assert np.abs(to_token).max() > 0 and not np.any(to_patches)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_columns_of_highest_entropy_are_blocked(normal, first, count):
  normed = jnp.asarray(normal(B, first + N, W))
  bias = singularity.recalibration(normed, HIDDEN, count, TAU)
  assert bias.dtype == jnp.float32
  cos = singularity.cosines(normed[:, first:])
  entropy = np.asarray(singularity.entropy(cos, HIDDEN, TAU))
  for b in range(B):
    masked = np.flatnonzero(HIDDEN[b])
    worst = masked[np.argsort(-entropy[b, masked])[:count]] + first
    reader = np.concatenate([np.ones(first), 1 - HIDDEN[b]]) > 0
    wanted = np.zeros((first + N,) * 2)
    wanted[np.ix_(reader, worst)] = singularity.BLOCKED
    np.testing.assert_array_equal(bias[b, 0], wanted)
  gradient = jax.grad(
    lambda x: singularity.recalibration(x, HIDDEN, count, TAU).sum()
  )
  np.testing.assert_array_equal(gradient(normed), 0)
