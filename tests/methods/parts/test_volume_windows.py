import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import volume_windows

WINDOW = (2, 4, 4)


@pytest.fixture(scope="module")
def x(normal):
  return normal(2, 5, 9, 4)


def test_a_map_of_single_voxels_is_the_same_in_windows(x):
  part = volume_windows.Windows()
  network = lambda v: jnp.stack([2 * v, v**2], -1)
  found = jax.jit(lambda v: part.apply(network, v, WINDOW))(x)
  np.testing.assert_allclose(found, network(x), rtol=1e-5)


def test_windows_overlap_and_end_with_the_volume():
  part = volume_windows.Windows(overlap=0.25)
  corners = part.corners((5, 9, 4), WINDOW)
  assert sorted({*corners[:, 0].tolist()}) == [0, 1, 2, 3]
  assert sorted({*corners[:, 1].tolist()}) == [0, 3, 5]
  assert {*corners[:, 2].tolist()} == {0}
  apart = volume_windows.Windows(overlap=0.0).corners((4, 8, 8), WINDOW)
  assert len(apart) == 8


def test_a_voxel_is_the_mean_of_the_windows_that_see_it():
  part = volume_windows.Windows(overlap=0.5)
  number = lambda v: jnp.broadcast_to(v[:, :1, :1, :1], v.shape)[..., None]
  line = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
  found = part.apply(number, line, (1, 1, 4))[0, 0, 0, :, 0]
  np.testing.assert_allclose(found, [0, 0, 1, 1, 3, 3, 4, 4])


def test_a_volume_of_one_window_is_read_once(x):
  part, calls = volume_windows.Windows(), []
  part.apply(lambda v: calls.append(1) or v[..., None], x, x.shape[1:])
  assert calls == [1]


def test_a_smaller_volume_is_an_error_that_names_the_key(x):
  with pytest.raises(ValueError, match="data.eval_volume"):
    volume_windows.Windows().apply(lambda v: v[..., None], x, (6, 4, 4))
