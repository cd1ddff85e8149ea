import hypothesis
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from hypothesis import strategies as st

from jmim.nn import posemb
from jmim.nn import resize

_SIZE = st.integers(1, 12)


@pytest.mark.parametrize("kind", resize.MATRICES)
@pytest.mark.parametrize("n_in, n_out", [(8, 5), (5, 8), (256, 224)])
def test_a_constant_stays_and_rows_are_means(kind, n_in, n_out):
  matrix = resize.MATRICES[kind](n_in, n_out)
  assert matrix.shape == (n_out, n_in)
  np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)


def test_bilinear_is_that_of_torch():
  """`interpolate` of 0 1 2 3 to three and to six numbers."""
  line = np.arange(4.0)
  three, six = (resize.bilinear_matrix(4, n) @ line for n in (3, 6))
  np.testing.assert_allclose(three, [1 / 6, 1.5, 17 / 6], atol=1e-12)
  expected = [0, 0.5, 7 / 6, 11 / 6, 2.5, 3]
  np.testing.assert_allclose(six, expected, atol=1e-12)


def test_each_axis_has_its_own_size(normal):
  x = normal(2, 6, 4, 3)
  y = resize.images(jnp.asarray(x), (3, 8), "bilinear")
  rows, columns = (resize.bilinear_matrix(*n) for n in ((6, 3), (4, 8)))
  expected = np.einsum("yh,xw,bhwc->byxc", rows, columns, x)
  np.testing.assert_allclose(y, expected, atol=1e-6)


def test_bicubic_is_that_of_position_tables(normal):
  x = normal(2, 6, 6, 3)
  y = resize.images(jnp.asarray(x), (4, 4))
  expected = posemb.resize(x.reshape(2, 36, 3), (6, 6), (4, 4))
  np.testing.assert_allclose(y.reshape(2, 16, 3), expected, atol=1e-6)


def test_images_of_the_right_size_are_not_touched(normal):
  x = normal(2, 6, 4, 3)
  assert resize.images(x, (6, 4), "smooth") is x


def test_doubling_has_torch_weights():
  # Kernel values at 1.75, 0.75, 0.25, 1.25 for a = -0.75, worked by hand.
  w175, w075, w025, w125 = -0.03515625, 0.26171875, 0.87890625, -0.10546875
  matrix = resize.bicubic_matrix(6, 12)
  np.testing.assert_allclose(matrix[4, :5], [w175, w075, w025, w125, 0])
  np.testing.assert_allclose(matrix[5, :5], [0, w125, w025, w075, w175])
  # The first output looks at pixels -2 .. 1, of which three are pixel 0.
  np.testing.assert_allclose(matrix[0, :2], [w175 + w075 + w025, w125])


@hypothesis.given(_SIZE, _SIZE)
@hypothesis.settings(max_examples=40, deadline=None)
def test_weights_sum_to_one_and_mirror(n_in, n_out):
  matrix = resize.bicubic_matrix(n_in, n_out)
  np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
  np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-9)


@hypothesis.given(_SIZE)
@hypothesis.settings(max_examples=12, deadline=None)
def test_same_size_is_the_identity(n):
  np.testing.assert_array_equal(resize.bicubic_matrix(n, n), np.eye(n))


@pytest.mark.parametrize("n_in, n_out", [(9, 4), (4, 9), (12, 6)])
def test_smooth_is_pillows_bicubic_and_whole_areas_its_box(n_in, n_out, normal):
  line = normal(1, n_in)
  picture = PIL.Image.fromarray(line)
  kinds = {"smooth": PIL.Image.Resampling.BICUBIC}
  if n_in % n_out == 0:
    kinds["area"] = PIL.Image.Resampling.BOX
  for kind, theirs in kinds.items():
    expected = np.asarray(picture.resize((n_out, 1), theirs))[0]
    found = resize.MATRICES[kind](n_in, n_out) @ line[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("n_in, n_out", [(12, 5), (6, 15), (8, 4)])
def test_matlab_is_smooth_of_the_mirrored_image(n_in, n_out, normal):
  line = normal(n_in)
  whole = np.concatenate([line[::-1], line, line[::-1]])
  expected = resize.smooth_matrix(3 * n_in, 3 * n_out) @ whole
  found = resize.matlab_matrix(n_in, n_out) @ line
  np.testing.assert_allclose(found, expected[n_out:-n_out], atol=1e-6)


def test_area_and_nearest_are_those_of_torch():
  line = np.arange(5.0)
  # Windows 0 .. 1, 1 .. 3, 3 .. 4 of `adaptive_avg_pool1d`.
  np.testing.assert_allclose(resize.area_matrix(5, 3) @ line, [0.5, 2, 3.5])
  np.testing.assert_allclose(resize.nearest_matrix(5, 3) @ line, [0, 1, 3])
  np.testing.assert_allclose(
    resize.nearest_matrix(2, 5) @ line[:2], [0, 0, 0, 1, 1]
  )


@pytest.mark.parametrize("sides", [(5, 9), (13, 4)])
def test_single_pixels_are_those_of_the_whole_grid(sides, normal):
  x = jnp.asarray(normal(2, 6, 8, 3))
  rows, columns = map(resize.centres, x.shape[1:3], sides)
  places = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)
  places = np.broadcast_to(
    places.reshape(-1, 2), (2, len(rows) * len(columns), 2)
  )
  found = resize.bicubic_at(x, jnp.asarray(places, jnp.float32))
  expected = resize.images(x, sides)
  np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-5)


def test_shuffle_has_torch_order_and_an_inverse():
  # PixelShuffle(2) of channels 0 .. 7: channel c, then row, then column.
  x = jnp.arange(8.0).reshape(1, 1, 1, 8)
  y = resize.shuffle(x, 2)
  np.testing.assert_array_equal(y[0, :, :, 0], [[0, 1], [2, 3]])
  np.testing.assert_array_equal(y[0, :, :, 1], [[4, 5], [6, 7]])
  np.testing.assert_array_equal(resize.unshuffle(y, 2), x)


def test_reflection_repeats_no_border(normal):
  x = normal(1, 5, 8, 2)
  y = np.asarray(resize.reflected(jnp.asarray(x), 4))
  assert y.shape == (1, 8, 8, 2)
  np.testing.assert_array_equal(y[:, :5], x)
  np.testing.assert_array_equal(y[:, 5:], x[:, 3:0:-1])
  assert resize.reflected(x, 1) is x
  with pytest.raises(ValueError, match="too small to be mirrored"):
    resize.reflected(x[:, :2], 8)
