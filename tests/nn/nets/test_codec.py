import jax
import jax.numpy as jnp
import pytest

from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


@pytest.mark.parametrize("name", codec.SIZES)
def test_a_code_is_smaller_by_the_factor_in_the_name(name):
  net = autoencoder.Autoencoder(codec.size(name, width=32), 0)
  factor = int(name.split("-")[1].removeprefix("f"))
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  params = jax.eval_shape(net.init, jax.random.key(0))
  moments, _ = jax.eval_shape(net.encode, params, image)
  assert moments.shape == (1, 64 // factor, 64 // factor, 2 * net.size.code)
  z = jax.ShapeDtypeStruct(moments.shape[:3] + (net.size.code,), jnp.float32)
  assert jax.eval_shape(net.decode, params, z).shape == image.shape
