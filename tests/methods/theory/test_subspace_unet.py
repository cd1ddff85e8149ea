"""EDM on points: its preconditioning, weight and sampler."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.methods.theory import subspace_unet

M = subspace_unet.SubspaceUNet.tiny()
KEY = jax.random.key(0)
BATCH = {"vector": jax.random.normal(jax.random.key(1), (3, 12))}


@functools.cache
def fresh():
  params, extra = jax.jit(M.init)(KEY, BATCH)
  return method.Weights(params, extra)


def test_a_fresh_network_is_the_best_linear_denoiser_of_white_data():
  """Its output is 0 at the start: D = skip x."""
  x = jax.random.normal(KEY, (3, *M.shape))
  denoised = jax.jit(M.denoised)
  for sigma in (0.1, 2.0):
    t = jnp.full(3, jnp.log(sigma) / 4)
    out = denoised(fresh().params, x, t)
    np.testing.assert_allclose(out, 0.25 / (sigma**2 + 0.25) * x, atol=1e-5)


def test_loss_of_a_fresh_network_is_that_of_its_target():
  """The weight makes the target of F one of unit weight at every level."""
  draws = M.drawn(KEY, BATCH)
  loss, _ = jax.jit(M.loss)(fresh(), BATCH, draws, 0)
  x0 = BATCH["vector"].reshape(-1, *M.shape)
  sigma = np.exp(-1.2 + 1.2 * draws["level"])[:, None, None, None]
  total = sigma**2 + 0.25
  x = x0 + sigma * draws["noise"]
  target = (x0 - 0.25 / total * x) / (sigma * 0.5 / np.sqrt(total))
  np.testing.assert_allclose(loss, (target**2).mean(), rtol=1e-4)


def test_samples_are_those_of_their_numbers_and_of_the_exact_path():
  """A fresh network's path is x = z sqrt(sigma^2 + 1/4): its end is z / 2."""
  sample = jax.jit(field.replace(M, steps=36).sample)
  many = sample(fresh(), BATCH | {"index": jnp.arange(3)}, KEY)
  alone = sample(fresh(), {"index": jnp.array([2])}, KEY)
  np.testing.assert_allclose(many[2], alone[0], atol=1e-5)
  for i, x in enumerate(many):
    z = jax.random.normal(jax.random.fold_in(KEY, i), M.shape)
    np.testing.assert_allclose(x, z / 2, rtol=0.05)
