"""The card of JEPA-linear: closed forms, tables, conserved quantities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import deep_linear

LAM, RHO = np.array([1, 0.8, 0.5, 0.3]), np.array([0.2, 0.6, 0.9, 0.8])
KEY = jax.random.key(0)


@pytest.mark.parametrize(
  "depth, eps, jepa, mae",
  [
    (2, 0.01, [948, 570, 811, 1390], [9.66, 12.2, 19.6, 32.7]),
    (3, 0.001, [56.0e3, 31.8e3, 46.6e3, 79.3e3], [50.7, 63.0, 101, 168]),
  ],
)
def test_times_of_the_table(depth, eps, jepa, mae):
  for objective, wanted in (("jepa", jepa), ("mae", mae)):
    found = deep_linear.time_to(
      0.9, LAM, rho=RHO, depth=depth, eps=eps, objective=objective
    )
    np.testing.assert_allclose(found, wanted, rtol=6e-3)


@pytest.mark.parametrize(
  "eps, jepa, mae",
  [
    (0.01, (1.044, 1.277, 1.814, 4.626), (0.934, 0.994, 1.010, 1.022)),
    (0.001, (1.007, 1.063, 1.208, 1.957), (0.954, 0.998, 1.003, 1.004)),
  ],
)
def test_depth_and_small_starts_bias_jepa_towards_large_rho(eps, jepa, mae):
  for objective, wanted in (("jepa", jepa), ("mae", mae)):
    for depth, ratio in zip((1, 2, 3, 5), wanted, strict=True):
      low, high = deep_linear.time_to(
        0.9,
        1.0,
        rho=np.array([0.45, 0.9]),
        depth=depth,
        eps=eps,
        objective=objective,
      )
      assert low / high == pytest.approx(ratio, abs=1.5e-3)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_closed_form_is_the_quadrature(depth):
  for share, eps in ((0.9, 0.01), (0.5, 1e-4)):
    fits = deep_linear.limit(RHO, depth, "jepa") * share > eps
    w = (share * deep_linear.limit(RHO, depth, "jepa")) ** (1 / depth)
    found = deep_linear.closed_form(
      w, eps ** (1 / depth), lam=LAM, rho=RHO, depth=depth
    )
    wanted = deep_linear.time_to(
      share, LAM, rho=RHO, depth=depth, eps=eps, objective="jepa"
    )
    np.testing.assert_allclose(found[fits], wanted[fits], rtol=1e-5)


def test_time_is_inverse_to_lambda_exactly():
  for objective in deep_linear.OBJECTIVES:
    a, b = (
      deep_linear.time_to(
        0.9, s * LAM, rho=RHO, depth=2, eps=0.01, objective=objective
      )
      for s in (1, 4)
    )
    np.testing.assert_allclose(a, 4 * b, rtol=1e-12)


@functools.cache
def run(objective, depth, rate, steps, eps=0.01, every=50):
  fn = jax.jit(
    lambda key: deep_linear.simulate(
      key,
      LAM,
      rho=RHO,
      depth=depth,
      eps=eps,
      objective=objective,
      rate=rate,
      steps=steps,
      every=every,
    )[1:]
  )
  found, last = fn(KEY)
  return rate * every * np.arange(1, len(found) + 1), np.asarray(found), last


def reached(times, found, depth, objective):
  """Interpolated 90 % times of the features."""
  goal = 0.9 * deep_linear.limit(RHO, depth, objective)
  first = (found >= goal).argmax(0)
  cols = np.arange(len(goal))
  low, high = found[first - 1, cols], found[first, cols]
  return times[first - 1] + (goal - low) / (high - low) * (times[1] - times[0])


@pytest.mark.parametrize(
  "objective, rate, steps, order",
  [("mae", 0.005, 20_000, [0, 1, 2, 3]), ("jepa", 0.1, 32_000, [1, 2, 0, 3])],
)
def test_descent_on_matrices_follows_the_theory(objective, rate, steps, order):
  times, found, _ = run(objective, 2, rate, steps)
  at = reached(times, found, 2, objective)
  assert list(np.argsort(at)) == order
  wanted = deep_linear.time_to(
    0.9, LAM, rho=RHO, depth=2, eps=0.01, objective=objective
  )
  np.testing.assert_allclose(at, wanted, rtol=0.02)
  final = deep_linear.limit(RHO, 2, objective)
  np.testing.assert_allclose(found[-1], final, rtol=0.01)


def test_layers_stay_balanced():
  """W_{a+1}^T W_{a+1} = W_a W_a^T and V^T V = W_L W_L^T."""
  for objective in deep_linear.OBJECTIVES:
    _, _, last = run(objective, 2, 0.002, 2000, eps=0.5)
    a, b = last["layers"]
    np.testing.assert_allclose(b.T @ b, a @ a.T, atol=2e-4)
    v = last["v"]
    np.testing.assert_allclose(v.T @ v, b @ b.T, atol=2e-4)


def test_without_the_stopped_target_the_encoder_collapses():
  """d/dW of the target added: balance breaks, features shrink to 0."""
  lam, rho = jnp.asarray(LAM, jnp.float32), jnp.asarray(RHO, jnp.float32)
  sxx = syy = jnp.diag(lam / rho)
  syx = jnp.diag(lam)

  def loss(p):
    w = deep_linear.product(p["layers"])
    vw = p["v"] @ w
    return 0.5 * jnp.trace(vw @ sxx @ vw.T - 2 * vw @ syx @ w.T + w @ syy @ w.T)

  @jax.jit
  def descend(p):
    move = lambda p, _: (
      jax.tree.map(lambda x, g: x - 0.05 * g, p, jax.grad(loss)(p)),
      None,
    )
    return jax.lax.scan(move, p, None, length=4000)[0]

  p = descend(deep_linear.initial(KEY, 4, depth=2, eps=0.5, objective="jepa"))
  w, v = deep_linear.product(p["layers"]), p["v"]
  assert np.linalg.norm(w, axis=0).max() < 0.05
  last = p["layers"][-1]
  assert np.abs(v.T @ v - last @ last.T).max() > 0.1


def test_the_start_is_balanced_and_orthogonal():
  p = deep_linear.initial(KEY, 5, depth=3, eps=0.01, objective="jepa")
  np.testing.assert_allclose(
    np.linalg.svd(deep_linear.product(p["layers"]))[1], 0.01, rtol=1e-4
  )
  np.testing.assert_allclose(p["v"], 0.01 ** (1 / 3) * np.eye(5), atol=1e-5)
