"""The card of JEPA-linear: closed forms, tables, conserved quantities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.parts import amplitudes
from jmim.methods.theory import jepa_linear as theory
from jmim.nn import stack

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
    found = amplitudes.time_to(
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
      low, high = amplitudes.time_to(
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
    fits = amplitudes.limit(RHO, depth, "jepa") * share > eps
    w = (share * amplitudes.limit(RHO, depth, "jepa")) ** (1 / depth)
    found = amplitudes.closed_form(
      w, eps ** (1 / depth), lam=LAM, rho=RHO, depth=depth
    )
    wanted = amplitudes.time_to(
      share, LAM, rho=RHO, depth=depth, eps=eps, objective="jepa"
    )
    np.testing.assert_allclose(found[fits], wanted[fits], rtol=1e-5)


def test_time_is_inverse_to_lambda_exactly():
  for objective in amplitudes.OBJECTIVES:
    a, b = (
      amplitudes.time_to(
        0.9, s * LAM, rho=RHO, depth=2, eps=0.01, objective=objective
      )
      for s in (1, 4)
    )
    np.testing.assert_allclose(a, 4 * b, rtol=1e-12)


@functools.cache
def run(objective, depth, rate, steps, eps=0.01, every=50):
  fn = jax.jit(
    lambda key: theory.simulate(
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
  goal = 0.9 * amplitudes.limit(RHO, depth, objective)
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
  wanted = amplitudes.time_to(
    0.9, LAM, rho=RHO, depth=2, eps=0.01, objective=objective
  )
  np.testing.assert_allclose(at, wanted, rtol=0.02)
  final = amplitudes.limit(RHO, 2, objective)
  np.testing.assert_allclose(found[-1], final, rtol=0.01)


def test_layers_stay_balanced():
  """W_{a+1}^T W_{a+1} = W_a W_a^T and V^T V = W_L W_L^T."""
  for objective in amplitudes.OBJECTIVES:
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
    w = theory.product(p["layers"])
    vw = p["v"] @ w
    return 0.5 * jnp.trace(vw @ sxx @ vw.T - 2 * vw @ syx @ w.T + w @ syy @ w.T)

  @jax.jit
  def descend(p):
    move = lambda p, _: (
      jax.tree.map(lambda x, g: x - 0.05 * g, p, jax.grad(loss)(p)),
      None,
    )
    return jax.lax.scan(move, p, None, length=4000)[0]

  p = descend(theory.initial(KEY, 4, depth=2, eps=0.5, objective="jepa"))
  w, v = theory.product(p["layers"]), p["v"]
  assert np.linalg.norm(w, axis=0).max() < 0.05
  last = p["layers"][-1]
  assert np.abs(v.T @ v - last @ last.T).max() > 0.1


@pytest.mark.parametrize("objective", amplitudes.OBJECTIVES)
def test_gradients_are_those_of_the_loss_of_the_method(objective):
  """On a sample, with its own second moments."""
  m = theory.DeepLinear(width=3, depth=3, eps=0.4, objective=objective)
  points = np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float32)
  params, _ = m.init(KEY, {"points": points})
  grads = jax.grad(
    lambda p: m.loss(methods.Weights(p), {"points": points}, {}, 0)[0]
  )(params)["main"]
  x, y = points[:, 0], points[:, 1]
  matrices = {
    "layers": params["main"]["encoder"]["layers"],
    "v": params["main"]["v"],
  }
  wanted = theory.gradients(matrices, x.T @ x / 50, y.T @ x / 50, objective)
  np.testing.assert_allclose(
    grads["encoder"]["layers"], wanted["layers"], atol=1e-5
  )
  np.testing.assert_allclose(grads["v"], wanted["v"], atol=1e-5)


def test_features_are_the_encoder_alone():
  m = theory.DeepLinear.tiny()
  points = np.random.default_rng(0).normal(size=(4, 2, 8)).astype(np.float32)
  params, _ = m.init(KEY, {})
  w = theory.product(params["main"]["encoder"]["layers"])
  # Also where a caller has cut the layers apart.
  for tree in (params, stack.unrolled(m.rt, params)):
    features = m.predict()["features"](
      methods.Weights(tree), {"points": points}, KEY
    )
    np.testing.assert_allclose(features, points[:, 0] @ w.T, atol=1e-6)


def test_the_width_has_its_older_name_too():
  older = {"type": "theory.jepa_linear", "dims": 3, "depth": 1}
  m = validate.build(theory.DeepLinear, older, "method")
  assert m == theory.DeepLinear(width=3, depth=1)


def test_the_start_is_balanced_and_orthogonal():
  p = theory.initial(KEY, 5, depth=3, eps=0.01, objective="jepa")
  np.testing.assert_allclose(
    np.linalg.svd(theory.product(p["layers"]))[1], 0.01, rtol=1e-4
  )
  np.testing.assert_allclose(p["v"], 0.01 ** (1 / 3) * np.eye(5), atol=1e-5)
