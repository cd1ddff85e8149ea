import jax.numpy as jnp

from jmim.nn.nets import autoencoder


def test_divergence_is_zero_only_of_the_standard_normal():
  zero = jnp.zeros((1, 2, 2, 6))
  assert autoencoder.divergence(zero)[0] == 0
  for channel in (0, 3):  # a mean, a log variance
    for change in (-0.1, 0.1):
      moved = zero.at[0, 1, 1, channel].set(change)
      assert autoencoder.divergence(moved)[0] > 1e-3
  loud = jnp.full((1, 1, 1, 2), 100.0)
  assert autoencoder.posterior(loud)[1].max() == 20
