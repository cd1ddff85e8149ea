import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec


def test_divergence_is_zero_only_of_the_standard_normal():
  zero = jnp.zeros((1, 2, 2, 6))
  assert autoencoder.divergence(zero)[0] == 0
  for channel in (0, 3):  # a mean, a log variance
    for change in (-0.1, 0.1):
      moved = zero.at[0, 1, 1, channel].set(change)
      assert autoencoder.divergence(moved)[0] > 1e-3
  loud = jnp.full((1, 1, 1, 2), 100.0)
  assert autoencoder.posterior(loud)[1].max() == 20


def test_an_encoder_in_two_parts_is_the_whole(fill):
  net = autoencoder.Autoencoder(codec.size("kl-f4", width=4, blocks=1))
  params = fill(net, seed=2)
  x = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)
  kernel = params["encoder"]["conv_out"]["kernel"]

  @jax.jit
  def both(kernel):
    trunk = net.trunk(params, x)
    return net.encode(params, x), net.tail(params, trunk, kernel)

  whole, parts = both(kernel)
  for one, other in zip(whole, parts, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
  assert whole[0].shape == (1, 2, 2, 6)
  _, other = both(2 * kernel)
  bias = params["encoder"]["conv_out"]["bias"]
  np.testing.assert_allclose(
    other[1] - bias, 2 * (whole[1] - bias), rtol=1e-4, atol=1e-5
  )


def test_a_draw_without_noise_is_the_mean_and_decoding_quantises(fill):
  moments = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 2, 6)))
  mean, log_var = autoencoder.posterior(moments)
  np.testing.assert_array_equal(autoencoder.drawn(moments, 0.0), mean)
  np.testing.assert_allclose(
    autoencoder.drawn(moments, 1.0) - mean, np.exp(log_var / 2), rtol=1e-5
  )
  net = autoencoder.Autoencoder(codec.size("vq-f4", width=4, blocks=1), 5)
  params = fill(net, seed=1)
  codes = params["codes"]
  near = codes[[[0, 3], [2, 4]]][None]
  decode = jax.jit(net.decode)
  exact, off = decode(params, near), decode(params, near + 1e-4)
  np.testing.assert_array_equal(exact, off)
