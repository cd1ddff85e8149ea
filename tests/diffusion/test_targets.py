import numpy as np
import pytest

from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import weights

RNG = np.random.default_rng(0)
X0, EPS = RNG.normal(size=(2, 4, 3, 3, 2)).astype(np.float32)
SIGNAL = np.array([0.99, 0.7, 0.3, 0.05], np.float32).reshape(4, 1, 1, 1)
LEVELS = {
  "preserving": (SIGNAL, np.sqrt(1 - SIGNAL**2)),
  "exploding": (np.ones_like(SIGNAL), 3 * SIGNAL),
  "straight": (SIGNAL, 1 - SIGNAL),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", targets.KINDS)
def test_a_perfect_prediction_gives_data_and_noise_back(kind, level):
  a, s = LEVELS[level]
  x = targets.noised(X0, EPS, a, s)
  pred = targets.target(kind, X0, eps=EPS, a=a, s=s)
  out = targets.output(kind, pred, x=x, a=a, s=s)
  np.testing.assert_allclose(out.x0, X0, atol=1e-3)
  np.testing.assert_allclose(out.eps, EPS, atol=1e-3)


@pytest.mark.parametrize("kind", targets.KINDS)
def test_any_prediction_gives_a_consistent_pair(kind):
  a, s = LEVELS["preserving"]
  x, pred = RNG.normal(size=(2, *X0.shape)).astype(np.float32)
  out = targets.output(kind, pred, x=x, a=a, s=s)
  np.testing.assert_allclose(a * out.x0 + s * out.eps, x, atol=1e-5)
  np.testing.assert_allclose(
    targets.target(kind, out.x0, eps=out.eps, a=a, s=s), pred, atol=1e-3
  )


def test_clipping_and_reprojection():
  a, s = LEVELS["preserving"]
  x = 5 * RNG.normal(size=X0.shape).astype(np.float32)
  plain = targets.output("eps", EPS, x=x, a=a, s=s)
  both = targets.output("eps", EPS, x=x, a=a, s=s, clip=1.0)
  kept = targets.output("eps", EPS, x=x, a=a, s=s, clip=1.0, reproject=False)
  np.testing.assert_array_equal(both.x0, np.clip(plain.x0, -1, 1))
  np.testing.assert_allclose(a * both.x0 + s * both.eps, x, atol=1e-4)
  np.testing.assert_array_equal(kept.eps, EPS)
  np.testing.assert_array_equal(kept.x0, both.x0)


def test_an_unknown_kind_is_named():
  with pytest.raises(ValueError, match="epsilon"):
    targets.target("epsilon", X0, eps=EPS, a=1.0, s=1.0)


def test_edm_preconditioning_keeps_unit_variance():
  sigma = np.array([0.01, 0.5, 10.0])
  c = targets.edm(sigma, data=0.5)
  np.testing.assert_allclose(c.inside**2 * (0.25 + sigma**2), 1.0, rtol=1e-5)
  # Variance of (x0 - skip x) / out, the network's target, is 1.
  var = 0.25 * (1 - c.skip) ** 2 + (c.skip * sigma) ** 2
  np.testing.assert_allclose(var / c.out**2, 1.0, rtol=1e-5)
  # The weight makes the target's error count the same at all levels.
  np.testing.assert_allclose(weights.edm(sigma, 0.5) * c.out**2, 1.0, rtol=1e-5)


def test_edm_of_a_process_is_its_preconditioning(normal):
  """F of x_t = a x0 + s eps: that of x_t / a, whose sigma is s / a."""
  x0, eps = (normal(5, 3, seed=i).astype(float) for i in (0, 1))
  a = np.array([0.999, 0.8, 0.3, 0.01, 5e-5])[:, None]
  s = np.sqrt(1 - a**2)
  x = targets.noised(x0, eps, a, s)
  f = targets.edm_target(x0, eps, a=a, s=s, data=0.5)
  c = targets.edm(s / a, data=0.5)
  np.testing.assert_allclose(c.skip * x / a + c.out * f, x0, rtol=1e-4)
  back = targets.edm_to_x0(f, x, a=a, s=s, data=0.5)
  np.testing.assert_allclose(back, x0, rtol=1e-12, atol=1e-12)
  size = targets.edm_size(a, s, 0.5)
  np.testing.assert_allclose(x / size, c.inside * x / a, rtol=1e-5)
  v = targets.target("v", x0, eps, a=a, s=s)
  np.testing.assert_allclose(
    targets.edm_target(x0, eps, a=a, s=s, data=1.0), -v, rtol=1e-12, atol=1e-12
  )


@pytest.mark.parametrize("steps", [1, 7, 50])
@pytest.mark.parametrize(("kind", "first"), [("v", 999), ("eps", 900)])
def test_a_step_turns_by_the_difference_of_two_angles(
  normal, kind, first, steps
):
  """DDIM of v, and of the noise that it means, in float64:

  cos(p - q) x - sin(p - q) v. At time 999 the noise is divided by 5e-5.
  """
  visited = np.linspace(first, 0, steps).astype(int)
  path = schedule.make("cosine", 1000).levels(visited)
  table, angle = solvers.make("ddim", path), np.arctan2(path.noise, path.signal)
  x, v = (normal(4, seed=i).astype(float) for i in (0, 1))
  for i in range(steps):
    a, s = path.signal[i], path.noise[i]
    turn = angle[i] - angle[i + 1]
    want = np.cos(turn) * x - np.sin(turn) * v
    pred = v if kind == "v" else targets.to_eps("v", v, x=x, a=a, s=s)
    out = targets.output(kind, pred, x=x, a=a, s=s)
    made = table.out[i, solvers.X0] * out.x0
    made = made + table.out[i, solvers.EPS] * out.eps
    np.testing.assert_allclose(made, want, atol=1e-12)
