import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import ancestral
from jmim.diffusion import truncated

PI = np.arange(1, 33) ** -1.5
PI = PI / PI.sum()
LIMITS = (3, 5, 8, 10, 12, 16, 37)
# Entropy of the token an N-step chain ends with (the method's card).
TABLE = {
  100: (0.822, 1.025, 1.628, 2.001, 2.125, 2.148, 2.149),
  1000: (0.822, 0.996, 1.146, 1.562, 1.962, 2.144, 2.149),
}


def test_probabilities_sum_to_one_and_lose_their_limit():
  rng = np.random.default_rng(0)
  for k in (2, 5, 40):
    p = rng.dirichlet(np.full(k, 0.3))
    for limit in (0.1, 1.0, 4.0, 20.0):
      found = truncated.trunc_probs(p, limit)
      assert found.sum() == pytest.approx(1, abs=1e-9)
      ratio = (found / p)[np.argsort(p)]
      assert (np.diff(ratio) >= -1e-9).all(), "a lower temperature"
    np.testing.assert_allclose(truncated.trunc_probs(p, 60.0), p, atol=1e-12)
  equal = truncated.trunc_probs(np.ones(4), 0.5)
  np.testing.assert_allclose(equal, 0.25)


def test_impossible_classes_stay_so():
  found = truncated.trunc_probs(np.array([0.0, 0.5, 0.5, 0.0]), 3.0)
  np.testing.assert_allclose(found, [0, 0.5, 0.5, 0])


def test_largest_noise():
  assert truncated.gumbel_max(24) == pytest.approx(16.6355, abs=1e-4)
  assert truncated.gumbel_max(23) == pytest.approx(15.9424, abs=1e-4)
  assert truncated.gumbel_max(53) == pytest.approx(36.7368, abs=1e-4)


@pytest.mark.parametrize("steps", TABLE)
def test_the_law_of_a_chain_is_the_table(steps):
  assert truncated.entropy(PI) == pytest.approx(2.1488, abs=1e-4)
  for limit, want in zip(LIMITS, TABLE[steps], strict=True):
    law = truncated.chain(PI, steps, limit)
    assert law.sum() == pytest.approx(1, abs=1e-9)
    assert truncated.entropy(law) == pytest.approx(want, abs=6e-4)


def simulated(steps, limit, chains):
  """Entropy of the tokens of one-position chains of the real sampler."""
  logits = jnp.asarray(np.append(np.log(PI), 0.0), jnp.float32)
  net = lambda x, t: jnp.broadcast_to(logits, (*x.shape, 33))
  start = jnp.full((chains, 1), 32)
  precision, cut = ("f64", 0.0) if limit > 20 else ("f64", float(limit))
  run = jax.jit(
    lambda k: ancestral.ancestral_sample(
      k,
      net,
      init_tokens=start,
      mask_id=32,
      steps=steps,
      precision=precision,
      limit=cut,
    )
  )
  found = run(jax.random.key(0))
  assert (np.asarray(found.calls) == 1).all()
  p = np.bincount(np.asarray(found.tokens)[:, 0], minlength=32) / chains
  # Miller's correction of the bias of entropies of few counts.
  return truncated.entropy(p) + ((p > 0).sum() - 1) / (2 * chains)


def test_the_sampler_follows_the_law():
  for limit in (5, 37):
    want = truncated.entropy(truncated.chain(PI, 20, limit))
    assert simulated(20, limit, 4000) == pytest.approx(want, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("steps", TABLE)
def test_the_sampler_gives_the_table(steps):
  for limit, want in zip(LIMITS, TABLE[steps], strict=True):
    assert simulated(steps, limit, 100_000) == pytest.approx(want, abs=0.02)
