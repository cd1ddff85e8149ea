import jax.numpy as jnp
import pytest

from jmim.core import runtime
from jmim.methods.parts import regressor
from jmim.nn import sizes
from jmim.nn.nets import vit

ENCODER = vit.ViT(
  size=sizes.Size(width=32, depth=2, heads=4), patch=4, grid=(2, 3)
)


def test_0_takes_width_and_heads_from_the_encoder():
  part = regressor.Regressor(depth=3, decoder_depth=1)
  net = part.net(ENCODER, 8)
  assert net.size == sizes.Size(width=32, depth=3, heads=4)
  assert (net.decoder_depth, net.out, net.grid) == (1, 8, (2, 3))


def test_other_sizes_win():
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  part = regressor.Regressor(width=16, heads=2, layer_scale=0.5, rt=rt)
  net = part.net(ENCODER, 8)
  assert net.size == sizes.Size(width=16, depth=4, heads=2)
  assert (net.layer_scale, net.rt) == (0.5, rt)


def test_a_width_that_does_not_divide_is_named():
  regressor.Regressor().check(ENCODER.size)
  with pytest.raises(ValueError, match="regressor width 18 .* by 4"):
    regressor.Regressor(width=18).check(ENCODER.size)
