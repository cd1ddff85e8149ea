import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn.nets import encoder_decoder

DIMS = encoder_decoder.Dims(width=8, multipliers=(1, 2, 2), norm_groups=4)
RT = runtime.Runtime()


def test_levels_halve_and_the_maps_have_the_side_of_the_image():
  net = DIMS.net(5, RT)
  x = jnp.ones((2, 16, 8, 3))
  params = jax.eval_shape(net.init, jax.random.key(0), x)
  maps, levels = jax.eval_shape(net.apply, params, x)
  assert maps.shape == (2, 16, 8, 5) and maps.dtype == jnp.float32
  shapes = [m.shape for m in levels]
  assert shapes == [(2, 16, 8, 8), (2, 8, 4, 16), (2, 4, 2, 16)]
  encoder = DIMS.net(0, RT)
  own = jax.eval_shape(encoder.init, jax.random.key(0), x)["params"]
  assert set(own) == {n for n in params["params"] if "up" not in n} - {
    "norm_out",
    "conv_out",
  }
  assert jax.eval_shape(encoder.apply, {"params": own}, x)[0] is None


def test_the_finest_details_are_seen():
  """A pixel changes the map at its own place most: skips lead there."""
  net = DIMS.net(2, RT)
  x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 16, 16, 3)), "f4")
  params = net.init(jax.random.key(0), x)
  run = jax.jit(lambda x: net.apply(params, x)[0])
  change = jnp.abs(run(x.at[0, 5, 9].add(1.0)) - run(x)).sum(-1)[0]
  row, column = np.unravel_index(change.argmax(), change.shape)
  assert abs(row - 5) <= 1 and abs(column - 9) <= 1


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(multipliers=()), "0 multipliers"),
    (dict(multipliers=(1, 2, 2, 2)), "multiple of 8"),
    (dict(norm_groups=3), "norm_groups=3"),
  ],
)
def test_what_cannot_be_built_is_said(fields, said):
  dims = encoder_decoder.Dims(**{"width": 8, "norm_groups": 4} | fields)
  with pytest.raises(ValueError, match=said):
    dims.check(12)
