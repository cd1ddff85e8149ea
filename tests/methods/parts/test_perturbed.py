import jax
import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import perturbed


def test_distances_of_features_that_are_known():
  """Of the image itself: noise by its size, and 0.3 in less light."""
  images = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
  run = jax.jit(perturbed.distances, static_argnums=0)
  found = run(lambda x: x, images, jax.random.key(0), jnp.arange(3))
  np.testing.assert_allclose(found["dark"], 0.3, rtol=1e-5)
  brightness = np.abs(images).mean((1, 2, 3))
  for sigma in perturbed.NOISES:
    mean = sigma * np.sqrt(2 / np.pi)  # of |n|
    expected = mean / brightness
    np.testing.assert_allclose(found[f"noise_{sigma}"], expected, rtol=0.1)


def test_noise_is_an_examples_own():
  images = np.ones((2, 4, 4, 1), np.float32)
  run = jax.jit(perturbed.distances, static_argnums=0)
  both = run(lambda x: x, images, jax.random.key(0), jnp.array([5, 7]))
  turned = run(lambda x: x, images, jax.random.key(0), jnp.array([7, 5]))
  for name in both:
    np.testing.assert_array_equal(both[name], turned[name][::-1])
