import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import unetr

B, SHAPE, C = 2, (2, 4, 6), 3


@pytest.fixture(scope="module")
def x(normal):
  return normal(B, *SHAPE, C)


def norm(x):
  mean, var = x.mean((1, 2, 3), keepdims=True), x.var((1, 2, 3), keepdims=True)
  return (x - mean) / np.sqrt(var + 1e-5)


def test_an_instance_is_normed_alone_and_in_float32(x):
  found = np.asarray(unetr.instance_norm(x))
  np.testing.assert_allclose(found, norm(x), atol=1e-5)
  one = unetr.instance_norm(x[1:])
  np.testing.assert_allclose(one[0], found[1], atol=1e-6)
  low = jnp.asarray(100 + x, jnp.bfloat16)
  made = unetr.instance_norm(low)
  assert made.dtype == jnp.bfloat16
  want = norm(np.asarray(low, np.float64))
  np.testing.assert_allclose(made.astype("f4"), want, atol=0.05)


def test_a_block_without_its_branch_is_its_input(x, fill):
  net = unetr.Residual(width=C)
  params = fill(net, x)["params"]
  assert "conv3" not in params
  params["conv2"]["kernel"][:] = 0
  found = net.apply({"params": params}, x)
  np.testing.assert_allclose(found, np.where(x > 0, x, 0.01 * x), rtol=1e-6)


def test_a_block_of_another_width_maps_its_input(x, fill):
  net = unetr.Residual(width=5)
  params = fill(net, x)["params"]
  params["conv2"]["kernel"][:] = 0
  want = norm(x @ params["conv3"]["kernel"])
  want = np.where(want > 0, want, 0.01 * want)
  np.testing.assert_allclose(net.apply({"params": params}, x), want, atol=1e-4)


@pytest.mark.parametrize(
  ("kernel", "stride", "pad"),
  [
    (unetr.thin(3), 1, None),
    (unetr.thin(5), 1, None),
    ((3, 3, 3), 1, None),
    ((3, 3, 3), 2, None),
    ((1, 2, 2), 2, (0, 0, 0)),
    ((1, 7, 7), 2, None),
    ((2, 3, 1), 1, (1, 0, 2)),
  ],
)
def test_convolutions_of_slices_are_those_of_the_volume(
  x, fill, kernel, stride, pad
):
  layer = unetr.Conv(width=4, kernel=kernel, stride=stride, pad=pad)
  params = fill(layer, x)["params"]
  sides = pad or [side // 2 for side in kernel]
  want = jax.lax.conv_general_dilated(
    x,
    params["kernel"],
    (stride,) * 3,
    [(side, side) for side in sides],
    dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
  )
  found = layer.apply({"params": params}, x)
  np.testing.assert_allclose(found, want + params["bias"], atol=1e-5)


def test_thin_kernels_do_not_look_across_slices(x, fill):
  layer = unetr.Conv(width=2, kernel=unetr.thin(3))
  p = fill(layer, x)
  moved = x.copy()
  moved[:, 1] += 1
  a, b = (np.asarray(layer.apply(p, v)) for v in (x, moved))
  np.testing.assert_array_equal(a[:, 0], b[:, 0])
  assert abs(a[:, 1] - b[:, 1]).max() > 0.1


def test_without_a_bias_there_is_none(x, fill):
  layer = unetr.Conv(width=2, bias=False)
  assert fill(layer, x)["params"].keys() == {"kernel"}
  assert not np.any(layer.apply(fill(layer, x), np.zeros_like(x)))


def test_a_voxel_becomes_a_box_of_eight(x, fill):
  net, skip = unetr.Up(width=C), np.zeros((B, 4, 8, 12, C), "f4")
  params = fill(net, x, skip)["params"]
  # Only the first half of what is joined passes, unchanged but for the norm.
  block = params["block"]
  block["conv2"]["kernel"][:] = 0
  block["conv3"]["kernel"][:] = np.eye(2 * C)[:, :C]
  params["up"]["kernel"][:] = np.tile(np.eye(C), (1, 8)).astype("f4")
  found = np.asarray(net.apply({"params": params}, x, skip))
  grown = x.repeat(2, 1).repeat(2, 2).repeat(2, 3)
  want = norm(grown)
  want = np.where(want > 0, want, 0.01 * want)
  np.testing.assert_allclose(found, want, atol=1e-4)


def test_the_gated_block_is_that_of_the_card(x, fill):
  net = unetr.Gated()
  params = fill(net, x)["params"]
  relu = lambda y: np.maximum(y, 0)
  for name in ("conv1", "conv2"):  # as points: only the middle of the kernel
    kernel = params[name]["kernel"]
    keep = kernel[1, 1, 1].copy()
    kernel[:] = 0
    kernel[1, 1, 1] = keep
  at = lambda name, y: (
    y
    @ (
      params[name]["kernel"][1, 1, 1]
      if name in ("conv1", "conv2")
      else params[name]["kernel"]
    )
  )
  y = relu(norm(at("conv2", relu(norm(at("conv1", x))))))
  y = y + relu(norm(at("conv3", x)))
  want = x + relu(norm(at("conv4", y)))
  np.testing.assert_allclose(net.apply({"params": params}, x), want, atol=1e-4)


def test_the_tail_ends_with_a_linear_map(x, fill):
  net = unetr.Tail()
  params = fill(net, x)["params"]
  params["fc2"]["kernel"][:] = 0
  found = net.apply({"params": params}, x)
  np.testing.assert_allclose(
    found, np.broadcast_to(params["fc2"]["bias"], x.shape), rtol=1e-6
  )
