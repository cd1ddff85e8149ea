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
  "x, cotangent, slope", [(1.0, -3, -3), (1.0, 3, 3), (2.5, -3, 0), (2.5, 3, 3)]
)
def test_a_limited_parameter_only_comes_back(x, cotangent, slope):
  value, back = jax.vjp(lambda x: losses.limited(x, 2.0), jnp.float32(x))
  assert value == min(x, 2)
  assert back(jnp.float32(cotangent)) == (slope,)


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


def test_smoothed_cross_entropy_is_that_of_a_smoothed_target():
  logits = jax.random.normal(jax.random.key(0), (2, 3, 5))
  labels = jnp.array([[0, 4, 2], [1, 1, 3]])
  target = 0.8 * jax.nn.one_hot(labels, 5) + 0.2 / 5
  expected = -(target * jax.nn.log_softmax(logits)).sum(-1)
  found = losses.smooth_cross_entropy(logits, labels, 0.2)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("piece", [1, 3, 5, 9])
def test_pieces_of_a_cross_entropy_are_the_whole(normal, piece):
  """Value and gradients, also where pieces do not divide the places."""
  x, table = normal(2, 5, 4), normal(4, 7, seed=1)
  labels = np.arange(10).reshape(2, 5) % 7

  def whole(x, table):
    return losses.smooth_cross_entropy(x @ table, labels, 0.0)

  def pieces(x, table):
    scores = lambda h: h @ table
    return losses.cross_entropy_in_pieces(x, labels, scores, piece)

  np.testing.assert_allclose(pieces(x, table), whole(x, table), atol=1e-5)
  weight = normal(2, 5, seed=2)
  of = lambda f: jax.grad(lambda *a: (weight * f(*a)).sum(), (0, 1))(x, table)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    of(pieces),
    of(whole),
  )


def test_the_scores_of_all_places_are_never_there(normal):
  """Of 8 places, two at once: no array of 8 x 1000 numbers is computed."""
  x, labels = normal(2, 8, 4), np.zeros((2, 8), int)

  def nats(table):
    scores = lambda h: h @ table
    return losses.cross_entropy_in_pieces(x, labels, scores, 2).sum()

  text = str(jax.make_jaxpr(jax.grad(nats))(normal(4, 1000)))
  assert "[2,2,1000]" in text
  assert "[2,8,1000]" not in text and "[4,2,2,1000]" not in text


def test_pairs_that_are_told_apart_cost_nothing_and_equal_ones_ln_b():
  loss, right = losses.paired(100.0 * jnp.eye(5))
  assert loss < 1e-5 and right == (1, 1)
  loss, _ = losses.paired(jnp.zeros((5, 5)))
  np.testing.assert_allclose(loss, np.log(5), rtol=1e-6)
  # Rows and columns count alike; what is no negative counts in neither.
  x = jnp.array([[1.0, 3.0, 0.0], [0.0, 2.0, 0.0], [5.0, 0.0, 1.0]])
  np.testing.assert_allclose(
    losses.paired(x)[0], losses.paired(x.T)[0], rtol=1e-6
  )
  same = jnp.array([[1, 1, 1], [1, 1, 0], [1, 0, 1]], bool)
  loss, right = losses.paired(x, same)
  nats = np.log([1, np.exp(2) + 1, 1 + np.e]) - [0, 2, 1]
  np.testing.assert_allclose(loss, np.mean(nats), rtol=1e-6)
  assert right == (1, 1)


def paired_by_hand(logits, same):
  total = 0.0
  for i in range(len(logits)):
    keep = lambda j, i=i: j == i or not same[i, j]
    row = [j for j in range(logits.shape[1]) if keep(j)]
    column = [j for j in range(len(logits)) if keep(j)]
    total += np.log(np.exp(logits[i, row] - logits[i, i]).sum()) / 2
    total += np.log(np.exp(logits[column, i] - logits[i, i]).sum()) / 2
  return total / len(logits)


def test_columns_beyond_the_pairs_are_wrong_for_every_row(normal):
  logits = normal(4, 7)
  same = np.zeros((4, 7), bool)
  same[0, 2] = same[2, 0] = same[3, 6] = True
  found, _ = losses.paired(logits, same)
  wanted = paired_by_hand(logits, same)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  assert losses.paired(logits)[0] > wanted + 0.01
  slope = jax.grad(lambda x: losses.paired(x, same)[0])(logits)
  assert np.isfinite(slope).all() and not slope[same].any()
  best = np.eye(4, 7)
  best[:, 6] = 2.0
  assert losses.paired(best)[1] == (0, 1)


def test_pairs_that_tell_nothing_cost_the_logarithm_by_little(normal):
  unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
  u, v = unit(normal(64, 256)), unit(normal(64, 256, seed=1))
  loss, _ = losses.paired(u @ v.T)
  np.testing.assert_allclose(loss, np.log(64), rtol=0.01)
