import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from jmim.core import runtime
from jmim.nn import mlp


def _reference(variables, x):
  """Two matmuls around the exact GELU, in float64."""
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  y = x.astype(np.float64) @ p["fc1"]["kernel"] + p["fc1"]["bias"]
  y = y * 0.5 * (1 + special.erf(y / np.sqrt(2)))
  return y @ p["fc2"]["kernel"] + p["fc2"]["bias"]


def test_equals_two_matmuls_around_the_exact_gelu(fill, normal):
  module, x = mlp.MLP(hidden=12), normal(2, 3, 8)
  variables = fill(module, x, scale=0.5)
  found = jax.jit(module.apply)(variables, x)
  # The tanh approximation of GELU would be 5e-4 off.
  np.testing.assert_allclose(found, _reference(variables, x), atol=3e-6)


def test_without_biases(fill, normal):
  module, x = mlp.MLP(hidden=12, bias=False), normal(2, 3, 8)
  variables = fill(module, x, scale=0.5)
  assert all(set(layer) == {"kernel"} for layer in variables["params"].values())
  zeros = lambda n: {"bias": np.zeros(n, np.float32)}
  sizes = {"fc1": 12, "fc2": 8}
  both = {n: variables["params"][n] | zeros(sizes[n]) for n in sizes}
  wanted = _reference({"params": both}, x)
  np.testing.assert_allclose(module.apply(variables, x), wanted, atol=3e-6)


def test_bfloat16_computes_on_float32_parameters(fill, normal):
  module = mlp.MLP(hidden=12, rt=runtime.Runtime(dtype=jnp.bfloat16))
  x = normal(2, 3, 8)
  variables = fill(module, x, scale=0.5)
  dtypes = {leaf.dtype for leaf in jax.tree.leaves(variables)}
  assert dtypes == {np.dtype(np.float32)}
  found = jax.jit(module.apply)(variables, x)
  assert found.dtype == jnp.bfloat16
  wanted = _reference(variables, x)
  error = np.abs(np.asarray(found, np.float64) - wanted)
  assert error.max() < 0.02 * np.abs(wanted).max()


def test_swiglu_equals_its_formula(fill, normal):
  module, x = mlp.SwiGLU(hidden=12, bias=True), normal(2, 3, 8)
  variables = fill(module, x, scale=0.5)
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  gate, up = (x @ p[n]["kernel"] + p[n]["bias"] for n in ("gate", "up"))
  wanted = (gate / (1 + np.exp(-gate)) * up) @ p["down"]["kernel"]
  found = jax.jit(module.apply)(variables, x)
  np.testing.assert_allclose(found, wanted + p["down"]["bias"], atol=1e-5)


def test_relu_is_torchs_default(fill, normal):
  module, x = mlp.MLP(hidden=12, act="relu"), normal(2, 3, 8)
  variables = fill(module, x, scale=0.5)
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  h = np.maximum(x @ p["fc1"]["kernel"] + p["fc1"]["bias"], 0)
  wanted = h @ p["fc2"]["kernel"] + p["fc2"]["bias"]
  np.testing.assert_allclose(module.apply(variables, x), wanted, atol=1e-5)
