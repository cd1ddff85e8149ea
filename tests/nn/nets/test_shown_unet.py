import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn.nets import shown_unet
from jmim.nn.nets import unet

DIMS = unet.Dims(
  width=4,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(),
  heads=1,
  norm_groups=2,
  dropout=0.0,
)
X, T = np.zeros((1, 4, 4, 3), np.float32), np.zeros(1)


def net(**options):
  return shown_unet.ShownUNet(DIMS.net(**options))


def shapes(shown):
  made = jax.eval_shape(net().init, jax.random.key(0), X, T, shown)
  return jax.tree.map(lambda s: s.shape, made["params"])


@pytest.mark.parametrize("side, read", [(2, 6), (4, 6), (8, 35), (16, 67)])
def test_an_image_is_brought_to_the_side_of_the_state(side, read):
  """Larger: 16 2^n channels after n halvings; else its own three."""
  found = shapes(np.zeros((1, side, side, 3)))
  assert found["net"]["conv_in"]["kernel"] == (3, 3, read, 4)
  halvings = max(side // 4, 1).bit_length() - 1
  assert len(found.get("halved", {})) == 2 * halvings


def test_halvings_are_two_convolutions_each(fill, normal):
  x, layer = normal(1, 8, 8, 3), shown_unet.Halved(2)
  params = fill(layer, x)["params"]
  assert params["half1"]["kernel"].shape == (3, 3, 32, 64)
  y = jnp.asarray(x)
  for i in range(2):
    for name, stride in ((f"conv{i}", 1), (f"half{i}", 2)):
      y = jax.lax.conv_general_dilated(
        y,
        params[name]["kernel"],
        (stride, stride),
        [(1, 1), (1, 1)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
      )
      y = y + params[name]["bias"]
      y = jax.nn.silu(y) if stride == 1 else y
  made = layer.apply({"params": params}, x)
  assert made.shape == (1, 2, 2, 64)
  np.testing.assert_allclose(made, y, atol=1e-4)


def test_pixels_of_a_smaller_image_are_repeated_and_maps_are_the_unets(
  fill, normal
):
  """Without the way up, the maps inside are the same."""
  x, shown = normal(2, 4, 4, 3), normal(2, 2, 2, 3, seed=1)
  t = np.array([1.0, 3.0])
  params = fill(net(), x, t, shown)
  taps = jax.jit(lambda s: net().apply(params, x, t, s, method="tapped")[1])
  large = shown.repeat(2, 1).repeat(2, 2)
  inner = net(upward=False)
  half = jax.jit(lambda s: inner.apply(params, x, t, s, method="tapped")[1])
  a, b, c = taps(shown), taps(large), half(shown)
  for other in (b, c):
    np.testing.assert_allclose(a.middle, other.middle, atol=1e-6)
    for one, two in zip(a.skips, other.skips, strict=True):
      np.testing.assert_allclose(one, two, atol=1e-6)
