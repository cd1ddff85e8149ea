import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import posemb
from jmim.nn import resample


@pytest.mark.parametrize("kind", resample.MATRICES)
@pytest.mark.parametrize("n_in, n_out", [(8, 5), (5, 8), (256, 224)])
def test_a_constant_stays_and_rows_are_means(kind, n_in, n_out):
  matrix = resample.MATRICES[kind](n_in, n_out)
  assert matrix.shape == (n_out, n_in)
  np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)


def test_bilinear_is_that_of_torch():
  """`interpolate` of 0 1 2 3 to three and to six numbers."""
  line = np.arange(4.0)
  three, six = (resample.bilinear_matrix(4, n) @ line for n in (3, 6))
  np.testing.assert_allclose(three, [1 / 6, 1.5, 17 / 6], atol=1e-12)
  expected = [0, 0.5, 7 / 6, 11 / 6, 2.5, 3]
  np.testing.assert_allclose(six, expected, atol=1e-12)


def test_each_axis_has_its_own_size(normal):
  x = normal(2, 6, 4, 3)
  y = resample.images(jnp.asarray(x), (3, 8), "bilinear")
  rows, columns = (resample.bilinear_matrix(*n) for n in ((6, 3), (4, 8)))
  expected = np.einsum("yh,xw,bhwc->byxc", rows, columns, x)
  np.testing.assert_allclose(y, expected, atol=1e-6)


def test_bicubic_is_that_of_position_tables(normal):
  x = normal(2, 6, 6, 3)
  y = resample.images(jnp.asarray(x), (4, 4))
  expected = posemb.resize(x.reshape(2, 36, 3), (6, 6), (4, 4))
  np.testing.assert_allclose(y.reshape(2, 16, 3), expected, atol=1e-6)


def test_images_of_the_right_size_are_not_touched(normal):
  x = normal(2, 6, 4, 3)
  assert resample.images(x, (6, 4), "smooth") is x
