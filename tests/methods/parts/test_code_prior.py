import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method as methods
from jmim.methods.parts import code_prior

PLAIN = code_prior.Prior()
MIXED = code_prior.Prior(path="W", components=2)
FACTOR = np.array([[[1.0, 0], [0.5, 0.2]], [[0.3, 0], [0, 2.0]]], np.float32)
MIXTURE = {
  "log_weight": np.log(np.array([0.25, 0.75], np.float32)),
  "mean": np.array([[-9.0, 0], [9, 1]], np.float32),
  "factor": FACTOR,
}


def codes(prior, index, width=2):
  weights = methods.Weights({}, consts={"prior": jax.device_put(MIXTURE)})
  draw = jax.jit(
    lambda i: prior.codes(weights, i, key=jax.random.key(3), width=width)
  )
  return np.asarray(draw(jnp.asarray(index)))


def test_a_code_is_a_function_of_its_number():
  for prior in (PLAIN, MIXED):
    several = codes(prior, [4, 7, 4])
    np.testing.assert_array_equal(several[0], several[2])
    np.testing.assert_allclose(codes(prior, [7])[0], several[1], rtol=1e-6)
    assert np.abs(several[0] - several[1]).min() > 1e-3


def test_without_a_file_codes_are_standard_normal():
  found = codes(PLAIN, np.arange(4000), width=3)
  np.testing.assert_allclose(found.mean(0), 0, atol=0.07)
  np.testing.assert_allclose(np.cov(found.T), np.eye(3), atol=0.08)
  assert PLAIN.consts(3) == {}


def test_codes_of_a_mixture_have_its_shares_means_and_covariances():
  found = codes(MIXED, np.arange(4000))
  first = found[:, 0] < 0  # the means are far apart
  np.testing.assert_allclose(first.mean(), 0.25, atol=0.03)
  for k, rows in enumerate((found[first], found[~first])):
    np.testing.assert_allclose(rows.mean(0), MIXTURE["mean"][k], atol=0.15)
    wanted = FACTOR[k] @ FACTOR[k].T
    np.testing.assert_allclose(np.cov(rows.T), wanted, atol=0.3)


def test_a_fresh_mixture_is_one_of_that_width():
  made = MIXED.consts(4)["prior"].init(jax.random.key(0))
  np.testing.assert_allclose(np.exp(made["log_weight"]).sum(), 1, rtol=1e-5)
  assert made["factor"].shape == (2, 4, 4)
  np.testing.assert_array_equal(np.tril(made["factor"]), made["factor"])
