import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import attention
from jmim.nn import grid3d
from jmim.nn import posemb

GRID = (4, 2, 6)


def test_patches_are_undone_and_z_is_the_fastest():
  volume = np.random.default_rng(0).normal(size=(2, 8, 4, 12, 3))
  patches = grid3d.patchify(volume, 2)
  np.testing.assert_array_equal(grid3d.unpatchify(patches, 2, GRID), volume)
  # Token (x, y, z) is number (x Y + y) Z + z, and holds its cube.
  x, y, z = 3, 1, 4
  cube = volume[1, 6:8, 2:4, 8:10]
  np.testing.assert_array_equal(
    patches[1, (x * 2 + y) * 6 + z], cube.reshape(-1)
  )
  with pytest.raises(ValueError, match="cubes of 3"):
    grid3d.patchify(volume, 3)


def test_points_are_in_the_patch_of_their_voxel():
  coords = np.array([[[6.4, 2.6, 8.5], [0, 0, 0], [7, 3, 11]]])
  found = grid3d.patch_of(jnp.asarray(coords), 2, GRID)
  # 8.5 is rounded to the even 8; (6, 3, 8) is in patch (3, 1, 4).
  np.testing.assert_array_equal(found, [[(3 * 2 + 1) * 6 + 4, 0, 47]])


def test_a_position_is_its_three_places():
  table = grid3d.sincos(12, GRID)
  for x, y, z in [(0, 0, 0), (3, 1, 5), (2, 0, 1)]:
    row = [posemb.sincos_1d(np.array([p]), 4)[0] for p in (x, y, z)]
    np.testing.assert_allclose(
      table[(x * 2 + y) * 6 + z], np.concatenate(row), atol=1e-6
    )
  assert len(np.unique(table.round(4), axis=0)) == 48
  with pytest.raises(ValueError, match="divide by 6, got 16"):
    grid3d.sincos(16, GRID)


def test_windows_are_cubes_and_are_undone():
  ids = np.arange(48.0).reshape(1, 48, 1)
  windows = grid3d.cut(ids, GRID, 2)
  assert windows.shape == (6, 8, 1)
  np.testing.assert_array_equal(grid3d.join(windows, GRID, 2), ids)
  cube = ids.reshape(GRID)[2:4, 0:2, 4:6]
  np.testing.assert_array_equal(windows[-1, :, 0], cube.ravel())
  with pytest.raises(ValueError, match="side 4 do not tile a grid"):
    grid3d.cut(ids, GRID, 4)


def test_relative_terms_are_those_of_each_pair():
  side, rng = 3, np.random.default_rng(1)
  q = rng.normal(size=(2, 2, 27, 4)).astype(np.float32)
  tables = [rng.normal(size=(5, 4)).astype(np.float32) for _ in "xyz"]
  bias = grid3d.relative(jnp.asarray(q), list(map(jnp.asarray, tables)), side)
  places = list(itertools.product(range(side), repeat=3))
  for i, j in [(0, 0), (5, 21), (26, 1)]:
    expected = sum(
      q[:, :, i] @ table[a - b + side - 1]
      for table, a, b in zip(tables, places[i], places[j], strict=True)
    )
    np.testing.assert_allclose(bias[:, :, i, j], expected, atol=1e-4)


@pytest.fixture(scope="module")
def windowed():
  """(module, its parameters, tokens)."""
  module = grid3d.WindowAttention(heads=2, grid=GRID, side=2)
  x = jax.random.normal(jax.random.key(0), (2, 48, 8))
  params = module.init(jax.random.key(1), x)["params"]
  rng = np.random.default_rng(2)
  filled = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape)), params)
  return module, filled, x


def test_a_token_sees_its_window_and_nothing_else(windowed):
  module, params, x = windowed
  run = jax.jit(lambda x: module.apply({"params": params}, x)[0])
  changed = np.abs(run(x.at[:, 17].add(1.0)) - run(x)).max((0, 2)) > 1e-6
  windows = np.asarray(grid3d.cut(np.arange(48.0)[None, :, None], GRID, 2))
  (own,) = [set(w.ravel()) for w in windows if 17 in w]
  assert set(np.nonzero(changed)[0]) == own


def test_without_positions_a_window_is_plain_attention(windowed):
  module, params, x = windowed
  zero = {
    k: jnp.zeros_like(v) if k.startswith("relative") else v
    for k, v in params.items()
  }
  y, found = module.apply({"params": zero}, x, ("attention",))
  plain = attention.SelfAttention(heads=2)
  shared = {k: params[k] for k in ("qkv", "proj")}
  expected, _ = plain.apply({"params": shared}, grid3d.cut(x, GRID, 2))
  np.testing.assert_allclose(grid3d.cut(y, GRID, 2), expected, atol=1e-4)
  assert found["attention"].shape == (12, 2, 8, 8)
  moved, _ = module.apply({"params": params}, x)
  assert np.abs(moved - y).max() > 1e-2  # the positions matter
