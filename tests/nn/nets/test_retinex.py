import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn.nets import retinex


@pytest.fixture(scope="module")
def images():
  rng = np.random.default_rng(0)
  return rng.uniform(0.05, 1, (2, 8, 8, 3)).astype(np.float32)


def test_soft_threshold():
  x = np.float32([-2, -0.5, -0.1, 0, 0.2, 0.5, 3])
  expected = np.float32([-1.5, 0, 0, 0, 0, 0, 2.5])
  np.testing.assert_array_equal(retinex.soft(x, 0.5), expected)


def frozen(fill, images, **options):
  """A network whose learned steps add nothing."""
  net = retinex.Dims(stage=4, width=4, prior_width=2, **options)
  net = net.net(runtime.Runtime())
  params = fill(net, images)["params"]
  for name in ("reflectance", "noise"):
    params[name]["conv2"]["kernel"][:] = 0.0
  params["mu"][:] = 4.0
  return net, params


def test_without_steps_light_and_reflectance_stay(fill, images):
  """alpha = beta = 0, nothing learned is added: as they were at first."""
  net, params = frozen(fill, images, alpha=0.0, beta=0.0, modulate=False)
  out = jax.jit(net.apply)({"params": params}, images)
  light = images.max(-1, keepdims=True)
  np.testing.assert_allclose(out["light"], light, rtol=1e-6)
  np.testing.assert_allclose(out["reflectance"], images / light, rtol=2e-6)
  np.testing.assert_allclose(out["noise"], 0, atol=1e-7)
  assert "prior" not in params and "modulation" not in params


def test_a_frozen_network_walks_down_the_gradient(fill, images):
  """Each stage is that of the docstring; a half is added to the light."""
  net, params = frozen(fill, images, alpha=0.3, beta=0.2)
  params["modulation"]["conv2"]["kernel"][:] = 0.0  # sigmoid(0)
  out = jax.jit(net.apply)({"params": params}, images)
  light, noise = images.max(-1, keepdims=True), np.zeros_like(images)
  reflectance = images / light
  for _ in range(3):
    gradient = reflectance * (light * reflectance + noise - images)
    light = (light - 0.3 * gradient).mean(-1, keepdims=True) + 0.5
    gradient = light * (light * reflectance + noise - images)
    reflectance = reflectance - 0.2 * gradient
    rest = images - light * reflectance
    noise = np.sign(rest) * np.maximum(abs(rest) - 0.25, 0)
  for name, x in zip(
    ("light", "reflectance", "noise"), (light, reflectance, noise), strict=True
  ):
    np.testing.assert_allclose(out[name], x, atol=1e-5, err_msg=name)


def test_the_prior_adds_between_0_and_1_in_each_stage(fill, images):
  net, params = frozen(fill, images, alpha=0.0, beta=0.0)
  added = jax.jit(net.apply)({"params": params}, images)["light"]
  added = added - images.max(-1, keepdims=True)
  assert 0 < added.min() and added.max() < 3 and added.std() > 1e-3
