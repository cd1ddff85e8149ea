import numpy as np
import pytest
import scipy.ndimage

from jmim.data.procedural import membranes

SHAPE = (6, 24, 24)


def made(seed=0):
  rng = np.random.default_rng(seed)
  tissue = membranes.draw(SHAPE, rng)
  return tissue, membranes.render(tissue, SHAPE, rng)


def test_a_voxel_is_of_the_nearest_site_and_a_membrane_lies_between_two():
  sites = np.array([[6.0, 12.0, 4.5], [6.0, 12.0, 20.1]])
  tissue = membranes.Tissue(sites=sites, greys=np.array([150.0, 190.0]))
  owner, thin = membranes.partition(tissue, SHAPE)
  want = (np.arange(24) + 0.5 > 12.3).astype(int)
  np.testing.assert_array_equal(owner, np.broadcast_to(want, SHAPE))
  # The plane is at x = 12.3: middles within HALF of it.
  near = abs(np.arange(24) + 0.5 - 12.3) < membranes.HALF
  np.testing.assert_array_equal(thin, np.broadcast_to(near, SHAPE))


def test_slices_are_further_apart_than_voxels():
  sites = np.array([[2.0, 12.0, 12.0], [10.0, 12.0, 12.0]])
  tissue = membranes.Tissue(sites=sites, greys=np.ones(2))
  owner, _ = membranes.partition(tissue, SHAPE)
  # Middles of slices are at 1, 3, 5 | 7, 9, 11.
  assert owner[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_membranes_are_dark_and_ids_are_counted_in_raster_order(seed):
  _, (volume, cells, membrane) = made(seed)
  inside, wall = volume[membrane == 0], volume[membrane == 1]
  assert 0.15 < membrane.mean() < 0.5
  assert inside.mean() - wall.mean() > 60
  assert inside.std() > 15 and wall.std() > 10
  _, first = np.unique(cells, return_index=True)
  assert (np.diff(first) > 0).all() and cells.min() == 1
  assert cells.max() == len(first)


def test_cells_are_in_one_piece():
  _, (_, cells, _) = made()
  for k in range(1, cells.max() + 1):
    _, pieces = scipy.ndimage.label(cells == k, np.ones((3, 3, 3)))
    assert pieces == 1


def test_every_change_of_cell_is_at_a_membrane():
  """Of neighbours in a slice, both or one of them."""
  _, (_, cells, membrane) = made()
  change = cells[:, :, 1:] != cells[:, :, :-1]
  near = membrane[:, :, 1:] | membrane[:, :, :-1]
  assert near[change].mean() > 0.95
