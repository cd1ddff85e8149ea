import jax
import numpy as np
import pytest
from scipy import special

from jmim.nn import adapters
from jmim.nn import norm


def _dense(p, x):
  return x @ p["kernel"] + p["bias"]


def _gelu(x):
  return x * 0.5 * (1 + special.erf(x / np.sqrt(2)))


@pytest.mark.parametrize("kind", adapters.ALIGN)
def test_every_kind_is_what_its_name_says(kind, fill, normal):
  module, x = adapters.Align(width=3, kind=kind), normal(2, 4, 6)
  variables = fill(module, x)
  p = variables["params"]

  def layer_norm(x):
    return (
      np.asarray(norm.whiten(x, 1e-6)) * p["norm"]["scale"]
      + (p["norm"]["bias"])
    )

  between = {
    "linear": lambda: x,
    "ln-linear": lambda: layer_norm(x),
    "mlp": lambda: _gelu(_dense(p["fc"], x)),
    "mlp-ln": lambda: layer_norm(_dense(p["fc"], x)),
  }[kind]()
  y = module.apply(variables, x)
  np.testing.assert_allclose(y, _dense(p["out"], between), atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_projection_has_a_gelu_between_its_layers(layers, fill, normal):
  module, x = adapters.Projection(width=5, layers=layers), normal(3, 4)
  variables = fill(module, x)
  p = variables["params"]
  y = _dense(p["fc1"], x)
  if layers == 2:
    y = _dense(p["fc2"], _gelu(y))
  np.testing.assert_allclose(module.apply(variables, x), y, atol=1e-5)


def test_a_projection_starts_as_in_torch(normal):
  module = adapters.Projection(width=300, layers=2)
  p = module.init(jax.random.key(0), normal(1, 16))["params"]
  for name, wide in (("fc1", 16), ("fc2", 300)):
    for leaf in p[name].values():
      bound = wide**-0.5
      assert 0.97 * bound < np.abs(leaf).max() <= bound


def test_a_normed_projection_is_scaled_as_its_norm_says(fill, normal):
  module, x = adapters.NormedProjection(width=5), normal(3, 2, 4)
  variables = fill(module, x)
  p = variables["params"]
  y = _dense(p["maps"]["fc2"], _gelu(_dense(p["maps"]["fc1"], x)))
  y = y / np.sqrt((y**2).mean(-1, keepdims=True) + 1e-6) * p["norm"]["scale"]
  np.testing.assert_allclose(module.apply(variables, x), y, atol=1e-5)
