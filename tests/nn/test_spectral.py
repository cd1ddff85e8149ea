import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import spectral


@pytest.fixture(scope="module")
def params():
  rng = np.random.default_rng(0)
  array = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
  conv = {"kernel": array(3, 3, 2, 4), "bias": array(4)}
  return {"head": {"conv": conv, "norm": {"scale": array(4)}}, "out": conv}


@pytest.fixture(scope="module")
def state(params):
  key = jax.random.key(1)
  return spectral.start(key, params, lambda name: name.startswith("head"))


def test_many_iterations_find_the_largest_singular_value(params, state):
  for _ in range(200):
    state = spectral.iterate(params, state)
  made = spectral.normalise(params, state)["head"]["conv"]["kernel"]
  matrix = np.asarray(params["head"]["conv"]["kernel"]).reshape(18, 4)
  largest = np.linalg.svd(matrix)[1][0]
  np.testing.assert_allclose(made.reshape(18, 4), matrix / largest, rtol=1e-4)


def test_an_iteration_is_torchs(params, state):
  """`torch.nn.utils.spectral_norm`, written out in its [d, n] matrix."""
  w = np.asarray(params["head"]["conv"]["kernel"]).reshape(18, 4).T
  known = state["head"]["conv"]["kernel"]
  v = w.T @ np.asarray(known["u"])
  v /= np.linalg.norm(v)
  u = w @ v
  sigma = np.linalg.norm(u)
  new = spectral.iterate(params, state)
  made = spectral.normalise(params, new)["head"]["conv"]["kernel"]
  np.testing.assert_allclose(made.reshape(18, 4), w.T / sigma, rtol=1e-4)
  new = new["head"]["conv"]["kernel"]
  np.testing.assert_allclose(new["u"], u / sigma, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(new["v"].ravel(), v, rtol=1e-4, atol=1e-6)


def test_what_the_state_does_not_name_stays(params, state):
  assert list(state) == ["head"] and list(state["head"]) == ["conv"]
  made = spectral.normalise(params, state)
  assert made["out"]["kernel"] is params["out"]["kernel"]
  assert made["head"]["conv"]["bias"] is params["head"]["conv"]["bias"]
  assert jax.tree.structure(made) == jax.tree.structure(params)


def test_the_norm_has_a_gradient_its_directions_none(params, state):
  """d sum(a W / s) / dW = a / s - sum(a W) v u^T / s^2."""
  rng = np.random.default_rng(3)
  a = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)

  def made(kernel):
    new = {"head": {"conv": {"kernel": kernel}}}
    moved = spectral.iterate(new, state)
    kernel = spectral.normalise(new, moved)["head"]["conv"]["kernel"]
    return (a * kernel).sum()

  kernel = params["head"]["conv"]["kernel"]
  known = spectral.iterate(params, state)["head"]["conv"]["kernel"]
  outer = np.einsum("ijc,d->ijcd", known["v"], known["u"])
  sigma = (np.asarray(kernel) * outer).sum()
  expected = a / sigma - (a * np.asarray(kernel)).sum() * outer / sigma**2
  np.testing.assert_allclose(jax.grad(made)(kernel), expected, atol=1e-5)
