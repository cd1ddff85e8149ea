import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import conv

RT = runtime.Runtime()


def _slow(x, kernel, bias, stride, pad):
  """A 3 x 3 convolution, one output pixel at a time."""
  x = np.pad(x, ((0, 0), pad, pad, (0, 0)))
  h, w = ((n - 3) // stride + 1 for n in x.shape[1:3])
  y = np.zeros((len(x), h, w, kernel.shape[-1]))
  for i, j in np.ndindex(h, w):
    part = x[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
    y[:, i, j] = np.einsum("bijc,ijcd->bd", part, kernel) + bias
  return y


@pytest.mark.parametrize("stride, pad", [(1, (1, 1)), (2, (1, 1)), (2, (0, 1))])
def test_padding_is_before_and_after_as_it_says(stride, pad, fill, normal):
  x = normal(2, 6, 4, 3)
  module = conv.conv3(RT, 5, None, stride, pad=pad)
  variables = fill(module, x)
  p = variables["params"]
  wanted = _slow(x, p["kernel"], p["bias"], stride, pad=pad)
  np.testing.assert_allclose(module.apply(variables, x), wanted, atol=1e-4)


def test_a_zero_convolution_starts_at_zero(normal):
  x = normal(1, 4, 4, 2)
  y, _ = conv.conv3(RT, 3, None, zero=True).init_with_output(
    jax.random.key(0), x
  )
  np.testing.assert_array_equal(y, 0)


def test_torchs_default_is_uniform_by_fan_in():
  kernel = np.asarray(conv.TORCH(jax.random.key(0), (3, 3, 16, 64)))
  bound = (9 * 16) ** -0.5
  assert 0.99 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)


def test_group_norm_is_over_pixels_and_the_channels_of_a_group(normal):
  x = 50 + normal(2, 3, 3, 4)
  scale, bias = normal(4, seed=1), normal(4, seed=2)
  module = conv.group_norm(RT, 2, None)
  y = module.apply({"params": {"scale": scale, "bias": bias}}, x)
  groups = x.astype(np.float64).reshape(2, 9, 2, 2)
  mean = groups.mean((1, 3), keepdims=True)
  std = np.sqrt(groups.var((1, 3), keepdims=True) + 1e-5)
  wanted = ((groups - mean) / std).reshape(x.shape) * scale + bias
  np.testing.assert_allclose(y, wanted, atol=1e-4)


def test_half_of_twice_is_the_image(normal):
  x = jnp.asarray(normal(2, 3, 4, 5))
  wide = conv.twice(x)
  assert wide.shape == (2, 6, 8, 5)
  np.testing.assert_array_equal(wide[:, 1::2, ::2], x)
  np.testing.assert_allclose(conv.half(wide), x, rtol=1e-6)
  np.testing.assert_allclose(
    conv.half(x[:, :2])[0, 0, 0], x[0, :2, :2].mean((0, 1)), rtol=1e-6
  )


def test_mirrored_borders_do_not_repeat_the_edge(normal):
  x = normal(2, 4, 5, 3)
  found = conv.mirrored(x, 2)
  assert found.shape == (2, 8, 9, 3)
  np.testing.assert_array_equal(found[:, 2:-2, 2:-2], x)
  np.testing.assert_array_equal(found[:, 0, 2:-2], x[:, 2])
  np.testing.assert_array_equal(found[:, 2:-2, -1], x[:, :, -3])


@pytest.mark.parametrize("stride", [2, 4])
def test_a_transposed_convolution_spreads_every_pixel(stride, fill, normal):
  """Each adds its kernel, turned back, around its place; what is cut off is
  half a stride on either side.
  """
  x = normal(2, 3, 4, 2)
  module = conv.transposed(RT, 5, None, stride)
  variables = fill(module, x)
  p, k, cut = variables["params"], 2 * stride, stride // 2
  kernel = np.asarray(p["kernel"])[::-1, ::-1]
  wanted = np.zeros((2, 2 * stride + k, 3 * stride + k, 5))
  for i, j in np.ndindex(3, 4):
    at = (slice(None), slice(i * stride, i * stride + k))
    at = (*at, slice(j * stride, j * stride + k))
    wanted[at] += np.einsum("bc,yxcd->byxd", x[:, i, j], kernel)
  wanted = wanted[:, cut:-cut, cut:-cut] + p["bias"]
  found = module.apply(variables, x)
  assert found.shape == (2, 3 * stride, 4 * stride, 5)
  np.testing.assert_allclose(found, wanted, atol=1e-4)
