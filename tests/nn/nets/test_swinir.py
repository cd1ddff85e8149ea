"""What surrounds the Swin layers of a SwinIR; the whole: its table's test."""

import jax
import numpy as np
import pytest

from jmim.nn import conv
from jmim.nn import resize
from jmim.nn.nets import swinir

SMALL = swinir.Dims(
  depths=(2,), heads=2, width=4, window=2, unshuffle=2, tail=4
)


@pytest.fixture(scope="module")
def params(fill, normal):
  return fill(SMALL.net(3), normal(1, 8, 8, 3))["params"]


def test_groups_that_say_nothing_leave_convolutions(params, normal):
  """Squares as channels, two convolutions behind, one doubling, colours."""
  net, x = SMALL.net(3), normal(2, 8, 8, 3)
  silent = dict(params)
  for name in ("conv_body",):
    silent[name] = jax.tree.map(np.zeros_like, params[name])
  made = jax.jit(net.apply)({"params": silent}, x)

  def layer(name, y):
    p = {"params": params[name]}
    return conv.conv3(net.rt, p["params"]["bias"].shape[0], None).apply(p, y)

  leaky = lambda y, slope: np.where(y > 0, y, slope * y)
  y = resize.unshuffle(x - np.asarray(swinir.MEAN), 2)
  y = leaky(layer("conv_tail", layer("conv_first", y)), 0.01)
  y = leaky(layer("conv_up0", conv.twice(y)), 0.2)
  y = layer("conv_out", leaky(layer("conv_fine", y), 0.2))
  np.testing.assert_allclose(made, y + np.asarray(swinir.MEAN), atol=1e-4)


def test_sides_that_windows_do_not_fill_are_mirrored(params, normal):
  net, x = SMALL.net(3), normal(1, 6, 8, 3)
  wide = np.concatenate([x, x[:, 3:5][:, ::-1]], axis=1)
  made = jax.jit(net.apply)({"params": params}, x)
  whole = jax.jit(net.apply)({"params": params}, wide)
  assert made.shape == x.shape
  np.testing.assert_allclose(made, whole[:, :6], atol=1e-5)


def test_a_mask_is_no_colour(fill, normal):
  """Of four channels nothing is subtracted, and nothing added."""
  net, x = SMALL.net(3, times=2), normal(1, 4, 4, 4)
  params = fill(net, x)["params"]
  params["conv_out"] = jax.tree.map(np.zeros_like, params["conv_out"])
  made = jax.jit(net.apply)({"params": params}, x)
  assert made.shape == (1, 8, 8, 3)
  np.testing.assert_array_equal(made, 0)
  assert set(params) >= {"conv_up0", "conv_up1"}


@pytest.mark.parametrize(
  "fields, side, times, said",
  [
    (dict(heads=3), 8, 1, "net.width=4 over net.heads=3"),
    (dict(unshuffle=3), 12, 1, "not a power of 2"),
    (dict(), 8, 3, "not a power of 2"),
    (dict(window=8), 8, 1, "too small to be mirrored to 16"),
  ],
)
def test_what_cannot_be_is_refused(fields, side, times, said):
  known = dict(depths=(2,), heads=2, width=4, window=2, unshuffle=2)
  dims = swinir.Dims(**known | fields)
  with pytest.raises(ValueError, match=said):
    dims.check(side, times)


def test_the_published_one_has_15_8_million_parameters():
  net = swinir.Dims().net(3)
  x = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)  # one window
  shapes = jax.eval_shape(net.init, jax.random.key(0), x)
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert count == 15_792_587
