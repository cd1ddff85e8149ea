import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import autoencoder_kl

METHOD = field.replace(
  autoencoder_kl.AutoencoderKL(size=8),
  dims=dict(width=4, multipliers=(1, 2), blocks=1),
  losses=dict(disc_layers=1, disc_width=4),
)


@pytest.mark.parametrize("s", [0.0, 0.7])
def test_the_likelihood_is_laplace_with_a_scale(s):
  """sum_i |e_i| exp(-s) + s: least where exp(s) is the mean error."""
  method = dataclasses.replace(METHOD, log_scale=s)
  errors = np.full((2, 4, 4, 3), 0.3, np.float32)
  wanted = 48 * (0.3 * np.exp(-s) + s)
  np.testing.assert_allclose(method.likelihood(errors), wanted, rtol=1e-6)
  best = dataclasses.replace(METHOD, log_scale=float(np.log(0.3)))
  assert best.likelihood(errors) < method.likelihood(errors)


def test_predictions_are_of_the_mean_and_the_loss_of_a_sample(fill):
  rng = np.random.default_rng(0)
  batch = {"image": rng.uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)}
  weights = methods.Weights(fill(METHOD, batch, scale=0.2)[0])

  @jax.jit
  def outputs(weights, batch):
    moments = METHOD.moments(weights, batch, None)
    decode = METHOD.net.decode(weights.params["autoencoder"], moments[..., :4])
    features = METHOD.features(weights, batch, None)
    made = METHOD.restore(weights, batch, None)["image"]
    return moments, decode, features, made, METHOD.errors(weights, batch, None)

  moments, decode, features, made, errors = outputs(weights, batch)
  mean = np.asarray(moments)[..., :4].mean((1, 2))
  np.testing.assert_allclose(features, mean, rtol=1e-5)
  np.testing.assert_allclose(made, decode, atol=1e-5)
  wanted = np.abs(made - batch["image"]).mean((1, 2, 3))
  np.testing.assert_allclose(errors["pixel"], wanted, rtol=1e-5)
