import chainnet
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jmim.data.procedural import markov
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting
from jmim.metrics import tokens as metrics

V, L, MASK = 3, 4, 3
CHAIN = markov.make(V)
NET = chainnet.conditionals(CHAIN, MASK)
N = 20_000


def sample(n=N, net=NET, start=None, key=0, **options):
  start = jnp.full((n, L), MASK) if start is None else start
  run = jax.jit(
    lambda k, s: first_hitting.fhs_sample(k, net, s, MASK, **options)
  )
  found = run(jax.random.key(key), start)
  jax.effects_barrier()
  return found


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_hitting_times_are_order_statistics(name):
  schedule, length = discrete.Absorbing(name), 8
  u = np.random.default_rng(0).random((20_000, length))
  times = first_hitting.hitting_times(u, length, schedule)
  assert (np.diff(times) < 0).all() and times.max() < 1
  m = schedule.masked(times)
  mean, var = first_hitting.order_statistics(length)
  np.testing.assert_allclose(m.mean(0), mean, atol=4 * var.max() ** 0.5 / 141)
  np.testing.assert_allclose(m.var(0), var, rtol=0.06)
  for hit in range(length):
    law = scipy.stats.beta(length - hit, hit + 1)
    assert scipy.stats.kstest(m[:, hit], law.cdf).pvalue > 1e-4


def test_rows_with_fewer_tokens_end_at_time_zero():
  u = jnp.full((3, 4), 0.5)
  times = first_hitting.hitting_times(u, jnp.array([0, 2, 4]))
  np.testing.assert_allclose(
    times,
    [
      [0] * 4,
      [0.5**0.5, 0.5**1.5, 0, 0],
      0.5 ** np.cumsum([1 / 4, 1 / 3, 1 / 2, 1]),
    ],
    rtol=1e-5,
  )


def test_samples_have_the_distribution_of_the_network():
  every, p = chainnet.sequences(CHAIN, L)
  assert p.sum() == pytest.approx(1) and len(every) == V**L
  found = sample()
  tv = metrics.total_variation(chainnet.shares(found.tokens, V), p)
  assert tv < 1.5 * metrics.sampling_error(p, N)
  assert (found.calls == L).all()


def test_several_at_once_cost_fewer_calls_and_the_joint_law():
  _, p = chainnet.sequences(CHAIN, L)
  found = {n: sample(num_calls=n) for n in (1, 2, 4, 9)}
  tv = {
    n: metrics.total_variation(chainnet.shares(f.tokens, V), p)
    for n, f in found.items()
  }
  for n, f in found.items():
    assert (f.calls == min(n, L)).all()
    share = metrics.unigrams(np.asarray(f.tokens), V)
    np.testing.assert_allclose(share, CHAIN.initial, atol=0.01)
  assert tv[1] > 2 * tv[2] > 4 * tv[4]
  assert tv[9] < 1.5 * metrics.sampling_error(p, N)


def test_extrapolation_changes_only_what_is_revealed_together():
  alone = [sample(200, order=order).tokens for order in (1, 2)]
  np.testing.assert_array_equal(*alone)
  both = [sample(200, num_calls=2, order=order).tokens for order in (1, 2)]
  assert (np.asarray(both[0]) != np.asarray(both[1])).any()
  assert np.asarray(both[1]).max() < V


def test_observed_tokens_stay_and_calls_are_counted():
  start = np.full((5, L), MASK)
  start[0] = [1, 2, 0, 1]
  start[1, 1:] = [2, 2, 0]
  start[2, 0] = 2
  start[3, 2] = 1
  net = chainnet.Counted(NET)
  found = sample(net=net, start=jnp.asarray(start))
  seen = start != MASK
  np.testing.assert_array_equal(np.asarray(found.tokens)[seen], start[seen])
  assert (np.asarray(found.tokens) < V).all()
  np.testing.assert_array_equal(found.calls, (~seen).sum(1))
  assert len(net.times) == L, "calls are those of the emptiest row"
  assert not np.asarray(found.tokens - start)[0].any()


def test_prompts_are_conditioned_on():
  every, p = chainnet.sequences(CHAIN, L)
  start = jnp.asarray([MASK, 2, MASK, MASK])
  found = sample(start=jnp.broadcast_to(start, (N, L)))
  wanted = np.where(every[:, 1] == 2, p, 0)
  wanted = wanted / wanted.sum()
  tv = metrics.total_variation(chainnet.shares(found.tokens, V), wanted)
  assert tv < 1.5 * metrics.sampling_error(wanted, N)


def test_a_timed_network_gets_descending_times():
  net = chainnet.Counted(NET)
  sample(2000, net=net, schedule=discrete.Absorbing("cosine"))
  times = np.stack(net.times, axis=1)
  assert (np.diff(times) < 0).all() and times.min() > 0
  m = discrete.Absorbing("cosine").masked(times)
  np.testing.assert_allclose(
    m.mean(0), first_hitting.order_statistics(L)[0], atol=0.02
  )
  pairs = chainnet.Counted(NET)
  sample(2000, net=pairs, num_calls=2, schedule=discrete.Absorbing("cosine"))
  np.testing.assert_allclose(np.stack(pairs.times, 1), times[:, 1::2])


def test_a_row_depends_on_its_key_alone():
  keys = jax.random.split(jax.random.key(7), 6)

  def run(keys):
    start = jnp.full((len(keys), L), MASK)
    return first_hitting.fhs_sample(keys, NET, start, MASK).tokens

  np.testing.assert_array_equal(run(keys)[4:], run(keys[4:]))
