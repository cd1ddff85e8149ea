import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import restoration_prior as priors

DIMS = priors.Dims(width=2, blocks=2)


@pytest.mark.parametrize("scale, first", [(1, 96), (2, 60), (4, 51)])
def test_channels_that_are_read_are_the_papers(scale, first):
  """Of both images, and of the spoilt one alone."""
  y = jnp.zeros((1, 32 // scale, 32 // scale, 3))
  encoder = DIMS.encoder(scale, runtime.Runtime())
  read = lambda *images: jax.eval_shape(
    encoder.init, jax.random.key(0), y, *images
  )["params"]["embed"]["kernel"].shape[2]
  assert read(jnp.zeros((1, 32, 32, 3))) == first
  assert read() == first - 48


def test_a_vector_is_a_mean_over_places(normal, fill):
  """Where kernels see one pixel, the order and number of these are nothing."""
  encoder = DIMS.encoder(4, runtime.Runtime())
  x = normal(2, 8, 8, 3)
  middle = np.zeros((3, 3, 1, 1), np.float32)
  middle[1, 1] = 1
  one = lambda k: k * middle if k.ndim > 3 else k
  variables = jax.tree.map(one, fill(encoder, x, scale=1.0))
  apply = jax.jit(encoder.apply)
  made = apply(variables, x)
  assert made.shape == (2, 8) and made.dtype == np.float32
  assert np.abs(made[0] - made[1]).max() > 1e-3
  turned = np.concatenate([x[:, ::-1], x.swapaxes(1, 2)], axis=2)
  np.testing.assert_allclose(apply(variables, turned), made, rtol=1e-4)


def test_every_layer_is_leaky_the_last_too(fill, normal):
  """Where the last map gives -1 everywhere the vector is -0.1."""
  encoder = priors.Dims(width=2, blocks=0).encoder(4, runtime.Runtime())
  x = normal(1, 4, 4, 3)
  params = fill(encoder, x)["params"]
  last = {"kernel": np.zeros((8, 8), "f4"), "bias": -np.ones(8, "f4")}
  made = encoder.apply({"params": params | {"fc1": last}}, x)
  np.testing.assert_allclose(made, -0.1 * np.ones((1, 8)), rtol=1e-6)


def test_parameters_of_the_published_denoiser():
  z = jnp.zeros((1, 256))
  net = priors.Denoiser()
  made = jax.eval_shape(net.init, jax.random.key(0), z, 0.0, z)["params"]
  total = sum(int(np.prod(x.shape)) for x in trees.named(made).values())
  assert total == 513 * 256 + 256 + 256 * 256 + 256


def test_a_denoiser_reads_condition_time_and_state_in_this_order(fill, normal):
  net, (z, c) = priors.Denoiser(0), normal(2, 3, 4)
  params = fill(net, z, 0.0, c)["params"]
  kernel, bias = params["embed"]["kernel"], params["embed"]["bias"]
  made = net.apply({"params": params}, z, 0.3, c)
  y = c @ kernel[:4] + 0.3 * kernel[4] + z @ kernel[5:] + bias
  np.testing.assert_allclose(
    made, np.where(y > 0, y, 0.1 * y), rtol=1e-4, atol=1e-6
  )
