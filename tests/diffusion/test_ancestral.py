import chainnet
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.data.procedural import markov
from jmim.diffusion import ancestral
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting
from jmim.metrics import tokens as metrics

V, L, MASK = 3, 4, 3
CHAIN = markov.make(V)
NET = chainnet.conditionals(CHAIN, MASK)


def sample(n=512, net=NET, steps=30, start=None, **options):
  start = jnp.full((n, L), MASK) if start is None else start
  run = jax.jit(
    lambda k, s: ancestral.ancestral_sample(
      k, net, init_tokens=s, mask_id=MASK, steps=steps, **options
    )
  )
  found = run(jax.random.key(0), start)
  jax.effects_barrier()
  return found


def test_many_steps_have_the_distribution_of_first_hitting():
  _, p = chainnet.sequences(CHAIN, L)
  n = 10_000
  found = sample(n, steps=300)
  share = chainnet.shares(found.tokens, V)
  error = metrics.sampling_error(p, n)
  assert metrics.total_variation(share, p) < 1.5 * error
  fhs = first_hitting.fhs_sample(
    jax.random.key(1), NET, jnp.full((n, L), MASK), MASK
  )
  other = chainnet.shares(fhs.tokens, V)
  assert metrics.total_variation(share, other) < 1.5 * 2**0.5 * error


def test_predictions_are_kept_while_nothing_changes():
  free = chainnet.Counted(NET)
  kept = sample(net=free, chunk=64)
  timed = sample(timed=True)
  np.testing.assert_array_equal(kept.tokens, timed.tokens)
  assert (np.asarray(kept.calls) <= L).all()
  assert (np.asarray(timed.calls) >= np.asarray(kept.calls)).all()
  assert np.asarray(timed.calls).max() > L
  # 64 rows at a time: at least all rows that changed, some calls not full.
  assert 64 * len(free.times) >= np.asarray(kept.calls).sum()
  for chunk in (0, 7):
    other = sample(chunk=chunk)
    np.testing.assert_array_equal(kept.tokens, other.tokens)
    np.testing.assert_array_equal(kept.calls, other.calls)


def test_observed_tokens_stay_and_full_rows_cost_nothing():
  start = np.full((3, L), MASK)
  start[0] = [1, 2, 0, 1]
  start[1, 1:3] = [2, 0]
  found = sample(start=jnp.asarray(start))
  seen = start != MASK
  np.testing.assert_array_equal(np.asarray(found.tokens)[seen], start[seen])
  assert (np.asarray(found.tokens) < V).all()
  assert found.calls[0] == 0 and found.calls[1] in (1, 2)


@pytest.mark.parametrize("name", discrete.SCHEDULES)
def test_every_schedule_leaves_no_mask(name):
  found = sample(64, steps=3, schedule=discrete.Absorbing(name))
  assert np.asarray(found.tokens).max() < V


def test_cut_noise_lowers_the_entropy():
  entropy = {
    m: metrics.entropy(
      metrics.unigrams(np.asarray(sample(4000, steps=60, limit=m).tokens), V)
    )
    for m in (1.0, 3.0, 0.0)
  }
  assert entropy[1.0] < entropy[3.0] - 0.05 < entropy[0.0] - 0.1
