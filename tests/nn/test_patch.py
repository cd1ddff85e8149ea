import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jmim.nn import patch as patching

_SIDES = st.integers(1, 4)


def _slow_patchify(images, p):
  b, height, width, c = images.shape
  h, w = height // p, width // p
  out = np.zeros((b, h * w, p * p * c), images.dtype)
  for y, x, row, column, channel in np.ndindex(h, w, p, p, c):
    place = (row * p + column) * c + channel
    out[:, y * w + x, place] = images[:, y * p + row, x * p + column, channel]
  return out


@hypothesis.given(_SIDES, _SIDES, _SIDES, st.integers(1, 3))
@hypothesis.settings(max_examples=6, deadline=None)
def test_patches_follow_the_definition_and_come_back(h, w, p, c):
  images = np.arange(2.0 * h * w * p * p * c, dtype=np.float32)
  images = images.reshape(2, h * p, w * p, c)
  patches = patching.patchify(images, p)
  np.testing.assert_array_equal(patches, _slow_patchify(images, p))
  back = patching.unpatchify(patches, p, (h, w))
  np.testing.assert_array_equal(back, images)
  grid = patching.to_grid(patches, (h, w))
  for y, x in np.ndindex(h, w):
    cell = images[:, y * p : y * p + p, x * p : x * p + p].reshape(2, -1)
    np.testing.assert_array_equal(grid[:, y, x], cell)
  if h == w:
    np.testing.assert_array_equal(patching.unpatchify(patches, p), images)


@pytest.mark.parametrize("shape", [(1, 9, 8, 3), (1, 8, 6, 3)])
def test_sides_that_do_not_split_are_refused(shape):
  with pytest.raises(ValueError, match="do not split into 4x4"):
    patching.patchify(jnp.zeros(shape), 4)


def test_embedding_is_a_strided_convolution(fill, normal):
  images = normal(2, 8, 12, 3)
  module = patching.PatchEmbed(width=5, patch=4)
  variables = fill(module, images)
  proj = variables["params"]["proj"]

  def convolution(images):
    kernel = proj["kernel"].reshape(4, 4, 3, 5)
    layout = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(
      images, kernel, (4, 4), "VALID", dimension_numbers=layout
    )
    return y.reshape(2, 6, 5) + proj["bias"]

  found = jax.jit(module.apply)(variables, images)
  np.testing.assert_allclose(found, jax.jit(convolution)(images), atol=1e-5)


def test_bias_is_uniform_within_the_bound_of_its_fan_in():
  bias = patching.conv_bias_init(48)(jax.random.key(0), (4000,))
  bound = 48**-0.5
  assert np.abs(bias).max() <= bound
  # Kolmogorov-Smirnov: 1.95 / sqrt(n) is exceeded once in a thousand seeds.
  expected = np.linspace(-bound, bound, 4000)
  assert np.abs(np.sort(bias) - expected).max() < 2 * bound * 1.95 / 4000**0.5


def test_folding_and_back():
  x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
  folded = patching.fold(x, 2)
  assert folded.shape == (2, 2, 3, 12)
  np.testing.assert_array_equal(
    folded.reshape(2, 6, 12), patching.patchify(x, 2)
  )
  np.testing.assert_array_equal(patching.unfold(folded, 2), x)
  assert patching.fold(x, 1) is x and patching.unfold(x, 1) is x
  assert patching.unfolded((2, 3, 12), 2) == (4, 6, 3)
  with pytest.raises(ValueError, match="channels 3"):
    patching.unfolded((2, 3, 3), 2)
