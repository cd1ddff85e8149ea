"""Mask-and-replace against dense matrices of a small vocabulary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import categorical
from jmim.diffusion import replace

K, T = 5, 6
# The released end points, the paper's, nothing masked, nothing replaced.
PROCESSES = {
  "released": {},
  "paper": dict(mask_last=0.9),
  "replace": dict(mask_first=0.0, mask_last=0.0, keep_last=0.01),
  "mask": dict(
    keep_first=0.99, mask_first=0.01, keep_last=0.01, mask_last=0.99
  ),
}


def process(name, **more):
  return replace.Replace(codes=K, times=T, **(PROCESSES[name] | more))


def dense(p):
  """(one step [T], all so far [T]) of rows p(after | before), float64."""
  one = np.zeros((T, K + 1, K + 1))
  ramp = np.arange(T) / (T - 1)
  keep = p.keep_first + ramp * (p.keep_last - p.keep_first)
  mask = p.mask_first + ramp * (p.mask_last - p.mask_first)
  before = {"keep": 1.0, "mask": 0.0}
  for t in range(T):
    stay = keep[t] / before["keep"]
    hide = 1 - (1 - mask[t]) / (1 - before["mask"])
    swap = max((1 - stay - hide) / K, 0)
    one[t, :K, :K] = stay * np.eye(K) + swap
    one[t, :K, K], one[t, K, K] = hide, 1.0
    before = {"keep": keep[t], "mask": mask[t]}
  every = [one[0]]
  for t in range(1, T):
    every.append(every[-1] @ one[t])
  return one, np.stack(every)


def rows(p, function, t):
  """[k, k] probabilities of a function for every known token before it."""
  ids = jnp.arange(K + 1)[None]
  return np.exp(function(p.one_hot(ids), jnp.array([t]))[0])


@pytest.mark.parametrize("name", PROCESSES)
def test_steps_are_those_of_matrices_whose_rows_sum_to_one(name):
  p = process(name)
  one, every = dense(p)
  np.testing.assert_allclose(one.sum(-1), 1, atol=1e-12)
  t = p.tables
  total = np.exp(t.keep) + K * np.exp(t.swap) + np.exp(t.mask)
  np.testing.assert_allclose(total, 1, atol=1e-6)
  for t in range(T):
    # Both are of codes: what they say of [MASK] is not read.
    np.testing.assert_allclose(rows(p, p.step, t)[:K], one[t, :K], atol=2e-6)
    found = rows(p, p.forward, t)[:K]
    np.testing.assert_allclose(found, every[t, :K], atol=2e-6)
  np.testing.assert_allclose(rows(p, p.forward, -1), np.eye(K + 1), atol=1e-6)


@pytest.mark.parametrize("name", ["released", "paper", "replace"])
@pytest.mark.parametrize("soft", [False, True])
def test_the_posterior_is_that_of_bayes(name, soft):
  p, rng = process(name), np.random.default_rng(0)
  one, every = dense(p)
  masks = K if name == "replace" else K + 1  # [MASK] is never reached
  x = np.repeat(np.arange(masks), K)
  x0 = np.tile(np.arange(K), masks)
  start = rng.dirichlet(np.ones(K), len(x)) if soft else np.eye(K)[x0]
  logp = np.log(np.maximum(np.append(start, 0 * start[:, :1], 1), 1e-30))
  posterior = jax.jit(p.posterior)
  for t in range(1, T):
    # q(y | x_t, v) = q(x_t | y) q(y | v) / q(x_t | v), averaged over v.
    joint = one[t].T[x][:, None] * every[t - 1][None, :K]
    expected = np.einsum(
      "iv,ivy->iy", start, joint / every[t].T[x][:, :K, None]
    )
    found = posterior(
      jnp.asarray(logp[None], jnp.float32), jnp.asarray(x[None]), jnp.array([t])
    )
    np.testing.assert_allclose(np.exp(found[0]), expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(found[0]).sum(-1), 1, atol=2e-5)


def test_the_first_time_leads_to_the_prediction():
  """Of a masked token; x_{-1} has no [MASK]."""
  p = process("released")
  logp = replace.predicted(jax.random.normal(jax.random.key(0), (1, 1, K)))
  found = p.posterior(logp, jnp.array([[K]]), jnp.array([0]))
  np.testing.assert_allclose(found[..., :K], logp[..., :K], atol=1e-5)
  assert found[0, 0, K] < -60


@pytest.mark.parametrize("name", ["released", "paper", "mask"])
def test_a_prediction_that_is_right_costs_nothing(name):
  p, rng = process(name), np.random.default_rng(0)
  x0 = jnp.asarray(rng.integers(0, K, (T, 7)))
  t = jnp.arange(T)
  u = jnp.asarray(rng.random((T, 7)), jnp.float32)
  x = p.noised(x0, t, u, jnp.asarray(rng.integers(0, K, (T, 7))))
  found = p.terms(p.one_hot(x0), x0, x, t)
  np.testing.assert_allclose(found, 0, atol=2e-5)


def test_without_replacement_a_term_is_a_weighted_cross_entropy():
  """Weight: the probability that a masked token is revealed at this step."""
  p = process("mask")
  mask = np.linspace(p.mask_first, p.mask_last, T)
  x0 = jnp.asarray(np.random.default_rng(0).integers(0, K, (T, 4)))
  logp = replace.predicted(jax.random.normal(jax.random.key(0), (T, 4, K)))
  found = p.terms(logp, x0, jnp.full((T, 4), K), jnp.arange(T))
  weight = (mask - np.append(0, mask[:-1])) / mask
  expected = -weight[:, None] * replace.of(logp, x0)
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_released_numbers():
  """Of T = 100 (the card of the method)."""
  p = replace.Replace(codes=974)
  t = p.tables
  keep, mask = np.exp(np.float64(t.keep_all)), np.exp(np.float64(t.mask_all))
  np.testing.assert_allclose(keep[:-1] + mask[:-1], 0.999999, atol=1e-7)
  np.testing.assert_allclose(974 * np.exp(t.swap_all[:-1]), 1e-6, rtol=1e-4)
  swap = 974 * np.exp(np.float64(t.swap))[[0, 1, 50, 99]]
  np.testing.assert_allclose(swap, [1e-6, 1.0e-8, 4.0e-8, 9.9e-5], rtol=0.03)
  np.testing.assert_allclose(np.exp(t.keep[50]), 0.980, atol=5e-4)
  np.testing.assert_allclose(np.exp(t.mask[50]), 0.0200, atol=5e-4)
  assert np.exp(p.prior()[-1]) >= 1 - 2e-5
  assert (keep[-1], mask[-1]) == (1, 0)


@pytest.mark.parametrize("name", ["paper", "replace"])
def test_both_ways_to_draw_are_the_same_law(name):
  p, n = process(name), 40_000
  t = jnp.array([3])
  expected = np.exp(p.forward(p.one_hot(jnp.array([[2]])), t))[0, 0]
  x0 = jnp.full((1, n), 2)
  u = (jnp.arange(n) + 0.5)[None] / n
  code = jax.random.randint(jax.random.key(0), (1, n), 0, K)
  small = np.bincount(p.noised(x0, t, u, code)[0], minlength=K + 1) / n
  np.testing.assert_allclose(small, expected, atol=0.01)
  logq = p.forward(p.one_hot(x0), t)
  u = jax.random.uniform(jax.random.key(1), logq.shape)
  whole = np.bincount(categorical.pick(logq, u)[0], minlength=K + 1) / n
  np.testing.assert_allclose(whole, expected, atol=0.01)


def test_the_last_term_of_the_bound():
  p = process("paper", keep_last=0.05)
  _, every = dense(p)
  prior = every[-1][:K].mean(0)
  np.testing.assert_allclose(np.exp(p.prior()), prior, atol=1e-6)
  row = every[-1][2]
  expected = (row * np.log(row / prior)).sum()
  found = p.last(jnp.full((1, 3), 2))
  np.testing.assert_allclose(found, [3 * expected], rtol=1e-4)


def test_predictions_are_of_codes():
  logits = jnp.array([[[100.0, 0.0, 1.0]]])
  found = replace.predicted(logits)[0, 0]
  np.testing.assert_allclose(found, [0, -70, -70, -70])


def test_random_times_are_all_times():
  u = (jnp.arange(60) + 0.5) / 60
  np.testing.assert_array_equal(
    np.bincount(replace.at_random(u, T)), np.full(T, 10)
  )
  assert replace.at_random(jnp.array([1.0]), T)[0] == T - 1


@pytest.mark.parametrize(
  "ends",
  [
    dict(mask_last=0.0),
    dict(keep_last=0.999999),
    dict(keep_last=0.0),
    dict(mask_last=1.0),
    dict(mask_last=0.9999999, keep_last=0.5),
  ],
)
def test_end_points_without_a_process(ends):
  with pytest.raises(ValueError, match="kept and masked go from"):
    replace.Replace(codes=K, **ends)
