import jax
import numpy as np
import pytest

from jmim.nn import sizes
from jmim.nn.nets import nvist

N, W, R = 6, 16, 6
SIZE = sizes.Size(width=W, depth=3, heads=2)
NET = nvist.Decoder(size=SIZE, resolution=R, patch=2, channels=5)
rng = np.random.default_rng(0)
LATENT = rng.normal(size=(2, 1 + N, W)).astype("f4")
CAMERA = np.array([[1.2, 1.1], [1.5, 0.9]], "f4")


@pytest.fixture(name="params", scope="module")
def _params(fill):
  return fill(NET, LATENT, CAMERA)["params"]


def run(params, latent=LATENT, camera=CAMERA, net=NET):
  return jax.jit(net.apply)({"params": params}, latent, camera)


def test_grids_have_their_cells_and_depend_on_image_and_camera(params):
  found = run(params)
  assert found["planes"].shape == (2, 3, R, R, 5)
  assert found["lines"].shape == (2, 3, R, 1, 5)
  for other in (
    run(params, latent=LATENT[::-1]),
    run(params, camera=CAMERA[:, ::-1]),
  ):
    for name, values in found.items():
      assert np.abs(values - other[name]).max() > 1e-3


def test_patches_permuted_with_their_places_change_nothing(params):
  order = np.random.default_rng(1).permutation(N)
  latent = np.concatenate([LATENT[:, :1], LATENT[:, 1:][:, order]], axis=1)
  moved = params | {"places": params["places"][:, order]}
  found, want = run(moved, latent), run(params)
  for name, values in want.items():
    np.testing.assert_allclose(found[name], values, atol=1e-4)


def test_a_token_writes_its_patch_of_cells(params):
  """Head k of plane k, cells (row, column, channel) within a patch."""
  alone = {
    n: jax.tree.map(np.zeros_like, x)
    for n, x in params.items()
    if n.startswith(("plane_", "line_")) and n[-1].isdigit()
  }
  bias = np.arange(2 * 2 * 5, dtype="f4")
  alone["plane_1"] = alone["plane_1"] | {"bias": bias}
  alone["line_2"] = alone["line_2"] | {"bias": bias[:10]}
  found = run(params | alone)
  tile = np.tile(bias.reshape(2, 2, 5), (R // 2, R // 2, 1))
  np.testing.assert_array_equal(found["planes"][0, 1], tile)
  line = np.tile(bias[:10].reshape(2, 5), (R // 2, 1))
  np.testing.assert_array_equal(found["lines"][0, 2, :, 0], line)
  for kind, used in (("planes", 1), ("lines", 2)):
    rest = np.delete(np.asarray(found[kind]), used, axis=1)
    assert not rest.any()


def test_places_are_read_in_raster_order_of_another_grid():
  table = np.asarray(NET.positions())[0]
  side = R // 2
  assert table.shape == (1 + 3 * side * side + 3 * side, W)
  assert not table[0].any()
  n = 7
  y, x = n // (side + 1) + 0.5, n % (side + 1) + 0.5
  omega = 10000.0 ** (-np.arange(W // 4) / (W // 4))
  want = [f(v * omega) for v in (x, y) for f in (np.sin, np.cos)]
  np.testing.assert_allclose(table[1 + n], np.concatenate(want), atol=1e-6)


def test_without_patches_only_the_class_token_is_seen(fill):
  net = nvist.Decoder(size=SIZE, resolution=R, patch=2, channels=5, told=False)
  params = fill(net, LATENT, CAMERA)["params"]
  assert "places" not in params
  other = LATENT.copy()
  other[:, 1:] = 0
  same, want = run(params, other, net=net), run(params, net=net)
  np.testing.assert_array_equal(same["planes"], want["planes"])
  other[:, 0] = 0
  changed = run(params, other, net=net)
  assert np.abs(changed["planes"] - want["planes"]).max() > 1e-3


def test_colours_lie_in_the_cube_and_depend_on_the_direction(fill):
  net = nvist.Colours(width=8, frequencies=2)
  features = rng.normal(size=(1, 2, 3, 6)).astype("f4")
  ways = np.array([[[0, 0, 1.0], [0, 1.0, 0]]], "f4")
  params = fill(net, features, ways)
  found = np.asarray(net.apply(params, features, ways))
  assert found.shape == (1, 2, 3, 3) and (0 < found).all() and (found < 1).all()
  turned = net.apply(params, features, ways[:, ::-1])
  assert np.abs(turned - found).max() > 1e-3
