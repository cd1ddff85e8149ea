import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import norm

PLAIN = runtime.Runtime()


def _norm(p, x, eps=1e-6):
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
  return x * p["scale"] + p["bias"]


def test_norm_survives_a_mean_far_above_the_std(normal):
  x = normal(4, 64) + 1e4
  module = norm.layer_norm(PLAIN, None)
  p = {"scale": np.ones(64, np.float32), "bias": np.zeros(64, np.float32)}
  # E[x^2] - E[x]^2 in float32 would have an error of 8 here.
  np.testing.assert_allclose(
    module.apply({"params": p}, x), _norm(p, x.astype(np.float64)), atol=3e-3
  )


def test_norm_adds_one_millionth_to_the_variance():
  x = np.array([[1e-3, -1e-3]], np.float32)  # its variance
  module = norm.layer_norm(PLAIN, None)
  p = {"scale": np.ones(2, np.float32), "bias": np.zeros(2, np.float32)}
  wanted = [[0.5**0.5, -(0.5**0.5)]]
  np.testing.assert_allclose(module.apply({"params": p}, x), wanted, rtol=1e-4)


def test_bfloat16_norm_has_float32_statistics(normal):
  x = np.asarray(normal(4, 512) + 3, jnp.bfloat16)
  module = norm.layer_norm(runtime.Runtime(dtype=jnp.bfloat16), None)
  p = {"scale": np.ones(512, np.float32), "bias": np.zeros(512, np.float32)}
  found = module.apply({"params": p}, x)
  assert found.dtype == jnp.bfloat16
  # Half a unit in the last place of the result, and nothing more.
  wanted = _norm(p, x.astype(np.float64))
  error = np.abs(np.asarray(found, np.float64) - wanted)
  assert (error <= 2**-8 * np.abs(wanted) + 1e-5).all()


def test_a_norm_without_parameters_whitens(normal):
  x = normal(4, 64) * 3 + 7
  module = norm.layer_norm(PLAIN, None, eps=1e-5, affine=False)
  assert module.init(jax.random.key(0), x) == {}
  np.testing.assert_allclose(module.apply({}, x), norm.whiten(x), atol=1e-5)


def test_without_bias_the_mean_stays(normal):
  """x / sqrt(variance + eps): of x + c the same and c / std more."""
  x, scale = normal(4, 8) + 2, normal(8, seed=1)
  params = {"params": {"scale": scale}}
  module = norm.BiasFree(epsilon=1e-3)
  wide = x.astype(np.float64)
  root = np.sqrt(wide.var(-1, keepdims=True) + 1e-3)
  found = module.apply(params, x)
  np.testing.assert_allclose(found, wide / root * scale, rtol=1e-4)
  moved = module.apply(params, x + 3) - found
  np.testing.assert_allclose(moved, 3 / root * scale, rtol=1e-3)
  half = norm.BiasFree(dtype=jnp.bfloat16).apply(params, x)
  assert half.dtype == jnp.bfloat16


def test_rms_norm_divides_by_the_root_mean_square(normal):
  x, scale = normal(4, 8) + 2, normal(8, seed=1)
  y = norm.rms_norm(PLAIN, None).apply({"params": {"scale": scale}}, x)
  root = np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(y, x / root * scale, rtol=1e-5)


def test_unit_has_length_1_and_keeps_zero(normal):
  x = normal(3, 5)
  x[0] = 0
  y = np.asarray(norm.unit(x))
  np.testing.assert_allclose(np.linalg.norm(y[1:], axis=1), 1, rtol=1e-5)
  np.testing.assert_array_equal(y[0], 0)


def test_whitened_tokens_have_mean_0_and_variance_1(normal):
  y = np.asarray(norm.whiten(3 + 7 * normal(4, 64)))
  np.testing.assert_allclose(y.mean(1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(1), 1, rtol=1e-4)


def test_a_standardised_array_has_unbiased_variance_1_as_a_whole(normal):
  x = 3 + 7 * normal(4, 6)
  y = np.asarray(norm.standardise(jnp.asarray(x, jnp.bfloat16)))
  assert y.dtype == np.float32
  assert abs(y.mean()) < 1e-5
  np.testing.assert_allclose(y.var(ddof=1), 1, rtol=1e-5)
  assert y.mean(1).std() > 0.05  # not of each row


def test_rms_norm_may_have_no_scale(normal):
  x = normal(2, 3, 8)
  layer = norm.rms_norm(runtime.Runtime(), None, affine=False)
  assert not jax.tree.leaves(layer.init(jax.random.key(0), x))
  wanted = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(layer.apply({}, x), wanted, atol=1e-6)
