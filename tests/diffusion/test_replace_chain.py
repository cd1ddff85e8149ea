import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import replace
from jmim.diffusion import replace_chain

K, L = 5, 12
P = replace.Replace(codes=K, times=8, mask_last=0.9)
TRUTH = np.array([0.4, 0.3, 0.15, 0.1, 0.05])


def exact(x, t):
  """log p(x_0 | x_t) of single tokens that are drawn from TRUTH."""
  ids = jnp.arange(K)[None]
  times = jnp.full(1, t)
  forward = P.forward(P.one_hot(ids), times)[0]  # [v, x_t]
  joint = jnp.log(TRUTH) + forward.T[x]
  return replace.predicted(joint)


def random_logp(key=0, shape=(3, L)):
  logits = 2 * jax.random.normal(jax.random.key(key), (*shape, K))
  return replace.predicted(logits)


def sampled(keys, **how):
  pick, order = replace_chain.own(keys, L)
  start = jnp.full((len(keys), L), K)
  return replace_chain.chain(P, exact, pick, start, order=order, **how)


@pytest.mark.parametrize("stride", [1, 3])
def test_the_true_conditional_samples_the_truth(stride):
  """Skipping too: tokens that are independent need no second call."""
  keys = jax.random.split(jax.random.key(0), 1000)
  tokens = jax.jit(lambda k: sampled(k, stride=stride))(keys)
  assert len(tokens) == {1: 8, 3: 4}[stride]
  share = np.bincount(tokens[-1].ravel(), minlength=K + 1) / tokens[-1].size
  np.testing.assert_allclose(share[:K], TRUTH, atol=0.02)
  assert share[K] == 0


def test_tokens_are_revealed_and_replaced():
  """With a tenth replaced, a code may change after it was revealed."""
  keys = jax.random.split(jax.random.key(0), 500)
  tokens = np.asarray(jax.jit(sampled)(keys))
  hidden = (tokens == K).mean((1, 2))
  assert (np.diff(hidden)[:-1] < 0).all() and hidden[-1] == 0
  changed = (tokens[1:] != tokens[:-1]) & (tokens[:-1] != K)
  assert 0 < changed.mean() < 0.1


@pytest.mark.parametrize("rule", ["purity", "random"])
def test_so_many_are_revealed_per_call_and_stay(rule):
  keys = jax.random.split(jax.random.key(0), 4)
  made = jax.jit(lambda k: sampled(k, rule=rule, sharpen=1.0))(keys)
  left = (np.asarray(made) == K).sum(-1)
  counts = L - np.cumsum(replace_chain.reveals(L, len(made)))
  np.testing.assert_array_equal(left[:-1], np.repeat(counts[:-1, None], 4, 1))
  before, after = made[:-2], made[1:-1]
  assert (after[before != K] == before[before != K]).all()
  assert (left[-1] == 0).all()


def test_purity_reveals_sure_tokens_first():
  sure = jnp.arange(L) < 4
  logits = jnp.where(sure, 20.0, 0.0)[:, None] * (jnp.arange(K) == 1)
  net = lambda x, t: jnp.broadcast_to(
    replace.predicted(logits[None]), (len(x), L, K + 1)
  )
  keys = jax.random.split(jax.random.key(0), 200)
  pick, order = replace_chain.own(keys, L)
  first = {
    rule: replace_chain.chain(
      P, net, pick, jnp.full((200, L), K), rule=rule, order=order
    )[1]
    != K
    for rule in ("purity", "random")
  }
  share = {r: float(x[:, :4].sum() / x.sum()) for r, x in first.items()}
  assert share["purity"] > share["random"] + 0.1
  np.testing.assert_allclose(share["random"], 1 / 3, atol=0.08)


def test_a_row_depends_on_its_own_key():
  keys = jax.random.split(jax.random.key(0), 4)
  run = jax.jit(lambda k: sampled(k, rule="purity"))
  np.testing.assert_array_equal(run(keys)[:, ::-1], run(keys[::-1]))


def test_given_numbers_decide():
  u = np.full((8, 2, L, K + 1), 0.5)
  u[..., 3] = 0.999
  start = jnp.full((2, L), K)
  pick = replace_chain.given(jnp.asarray(u, jnp.float32))
  # Enough for a code that is not too unlikely, so that all end as it.
  made = replace_chain.chain(P, exact, pick, start)
  assert (made[-1] == 3).all()


@pytest.mark.parametrize("share", [0.2, 0.86, 0.999])
def test_truncation_by_brute_force(share):
  logp = random_logp()
  found = np.asarray(replace_chain.truncated(logp, share))
  for row, kept in zip(
    np.asarray(logp).reshape(-1, K + 1), found.reshape(-1, K + 1), strict=True
  ):
    order, total, expected = np.argsort(-row), 0.0, np.full(K + 1, -70.0)
    for at in order:
      if total >= share:
        break
      expected[at] = row[at]
      total += np.exp(row[at])
    np.testing.assert_array_equal(kept, expected.astype(np.float32))


def test_guidance():
  a, b = random_logp(0), random_logp(1)
  for scale, expected in ((1.0, a), (0.0, b)):
    found = replace_chain.guided(a, b, scale)
    np.testing.assert_allclose(found, expected, atol=1e-5)
  p = np.exp(replace_chain.guided(a, b, 3.0))
  np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
  odds = np.asarray(3 * a - 2 * b)
  np.testing.assert_allclose(
    np.log(p[..., 0] / p[..., 1]), odds[..., 0] - odds[..., 1], rtol=1e-3
  )


def test_purity_and_sharper_tokens():
  logp = random_logp()
  score = replace_chain.purity(logp)
  np.testing.assert_allclose(score.max(1), 1, atol=1e-6)
  p = np.exp(np.asarray(logp))
  np.testing.assert_allclose(
    score, p.max(-1) / p.max((1, 2))[:, None], rtol=1e-5
  )
  moved = np.exp(replace_chain.sharpened(logp, score, 2.0))
  power = p ** (1 + 2 * np.asarray(score))[..., None]
  np.testing.assert_allclose(
    moved, power / power.sum(-1, keepdims=True), atol=1e-5
  )


def test_the_path_of_a_stride():
  at, posterior = replace_chain.path(100, 4)
  assert (at[0], at[-2:].tolist(), len(at)) == (99, [3, 0], 26)
  np.testing.assert_array_equal(posterior[:-2], at[:-2] - 3)
  np.testing.assert_array_equal(posterior[-2:], at[-2:])
  at, posterior = replace_chain.path(6, 1)
  np.testing.assert_array_equal(at, posterior)
  np.testing.assert_array_equal(at, np.arange(6)[::-1])


def test_tokens_revealed_per_call():
  released = replace_chain.reveals(1024, 100)
  # One more than there are, as the last call draws all that is left.
  assert (len(released), released.sum(), released.max()) == (100, 1025, 11)
  assert released[:5].tolist() == [11, 11, 10, 10, 11] and released[-1] == 1
  for length, calls in ((256, 100), (16, 5)):
    even = replace_chain.reveals(length, calls)
    assert even.sum() == length and np.ptp(even) <= 1 and len(even) == calls


def test_the_call_that_changed_a_token_last():
  tokens = jnp.array([[5, 1, 5], [2, 1, 5], [2, 3, 5], [2, 3, 0]])[:, None]
  np.testing.assert_array_equal(replace_chain.order(tokens), [[1, 2, 3]])
  same = jnp.array([[1], [1]])[:, None]
  np.testing.assert_array_equal(replace_chain.order(same), [[0]])


def test_mistakes():
  with pytest.raises(ValueError, match="rule 'best' is none of posterior"):
    replace_chain.chain(P, exact, None, jnp.zeros((1, L)), rule="best")
