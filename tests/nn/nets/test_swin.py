import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import block
from jmim.nn.nets import swin

GRID = (8, 8)


def test_a_window_of_the_whole_grid_is_full_attention(fill, normal):
  x = normal(2, 16, 8)
  layer = swin.Layer(heads=2, grid=(4, 4), side=4)
  params = fill(layer, x)
  whole = block.Block(heads=2, window=(4, 4), eps=swin.EPS)
  expected, _ = whole.apply({"params": params["params"]["block"]}, x)
  np.testing.assert_allclose(layer.apply(params, x)[0], expected, atol=1e-5)


def test_a_shifted_layer_moves_with_its_windows(fill, normal):
  """Attention ends at windows; with the shift at shifted windows."""
  x, layer = normal(1, 64, 8), swin.Layer(heads=2, grid=GRID, side=4)
  params = fill(layer, x)
  run = jax.jit(lambda x, s: layer.apply(params, x, shift=s)[0])
  for shift in (0, 2):
    moved = x.copy()
    moved[0, 3 * 8 + 3, 0] += 3  # token (3, 3)
    change = np.abs(run(moved, shift) - run(x, shift)).max(-1).reshape(GRID)
    expected = np.zeros(GRID, bool)
    expected[shift : shift + 4, shift : shift + 4] = True
    np.testing.assert_array_equal(change > 1e-5, expected)


def test_scanned_and_unrolled_agree(fill, normal):
  size = swin.Size(width=8, depths=(2, 2), heads=(2, 2), window=2)
  model = swin.Swin(size=size, patch=2, grid=(8, 8), maskable=True)
  x, m = normal(2, 16, 16, 3), (normal(2, 64, seed=1) > 0).astype(np.float32)
  params = fill(model, x)
  scanned = dataclasses.replace(model, rt=runtime.Runtime(scan=True))
  a, b = (
    jax.jit(lambda p, how=how: how.apply(p, x, replaced=m))(params)
    for how in (model, scanned)
  )
  np.testing.assert_allclose(a["latent"], b["latent"], atol=1e-4)
  assert a["stage1"].shape == (2, 16, 16)


@pytest.mark.parametrize(
  "size, word",
  [
    (swin.Size(width=8, depths=(2,), heads=(3,), window=4), "heads"),
    (swin.Size(width=8, depths=(2, 2), heads=(2,), window=4), "depths"),
    (swin.Size(width=8, depths=(2,), heads=(2,), window=3), "window"),
    (swin.Size(width=8, depths=(2,) * 5, heads=(2,) * 5, window=8), "halved"),
  ],
)
def test_what_does_not_fit_is_named(size, word):
  with pytest.raises(ValueError, match=word):
    swin.check(size, 16, 2)
