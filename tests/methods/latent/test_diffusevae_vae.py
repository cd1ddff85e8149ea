import dataclasses
import functools

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.latent import diffusevae_vae
from jmim.nn.nets import autoencoder

METHOD = diffusevae_vae.VAE.tiny()


@pytest.fixture(scope="module")
def made(fill):
  rng = np.random.default_rng(0)
  batch = {"image": rng.uniform(0, 1, (4, 4, 4, 3)).astype(np.float32)}
  params, _ = fill(METHOD, batch, scale=0.1)
  return methods.Weights(params), batch


def test_both_terms_are_sums_over_the_batch(made):
  """Twice the images: twice the loss, term by term."""
  weights, batch = made
  draws = METHOD.drawn(jax.random.key(0), batch)
  loss = jax.jit(lambda b, d: METHOD.loss(weights, b, d, 0))
  whole, aux = loss(batch, draws)
  half = lambda x, i: x[2 * i : 2 * i + 2]
  parts = [
    loss(*jax.tree.map(functools.partial(half, i=i), (batch, draws)))
    for i in range(2)
  ]
  np.testing.assert_allclose(whole, sum(p[0] for p in parts), rtol=1e-5)
  for name in ("reconstruction", "kl"):
    total = sum(p[1][name] for p in parts)
    np.testing.assert_allclose(aux[name], total, rtol=1e-5)
  assert not METHOD.per_example


def test_the_terms_are_those_of_their_formulas(made):
  weights, batch = made
  draws = METHOD.drawn(jax.random.key(0), batch)
  method = dataclasses.replace(METHOD, alpha=0.3)

  @jax.jit
  def outputs(weights, batch, draws):
    moments = method.moments(weights, batch, None)
    z = autoencoder.drawn(moments, draws["noise"])
    decoded = method.net.decode(weights.params["main"], z)
    return moments, decoded, method.loss(weights, batch, draws, 0)

  moments, decoded, (loss, aux) = outputs(weights, batch, draws)
  mean, v = np.split(np.asarray(moments), 2, -1)
  squares = ((np.asarray(decoded) - batch["image"]) ** 2).sum()
  kl = -0.5 * (1 + v - mean**2 - np.exp(v)).sum()
  np.testing.assert_allclose(aux["reconstruction"], squares, rtol=1e-5)
  np.testing.assert_allclose(aux["kl"], kl, rtol=1e-4)
  np.testing.assert_allclose(loss, squares + 0.3 * kl, rtol=1e-4)


def test_outputs_are_of_the_mean_and_samples_of_their_number(made):
  weights, batch = made
  key = jax.random.key(1)
  features = METHOD.features(weights, batch, key)
  restored = METHOD.restore(weights, batch, key)["image"]
  decoded = METHOD.net.decode(weights.params["main"], features)
  np.testing.assert_allclose(restored, decoded, atol=1e-6)
  errors = METHOD.errors(weights, batch, key)
  wanted = ((restored - batch["image"]) ** 2).sum((1, 2, 3))
  np.testing.assert_allclose(errors["pixel"], wanted, rtol=1e-5)
  of = lambda index: METHOD.sample(weights, {"index": np.array(index)}, key)
  np.testing.assert_allclose(of([5, 3])[0], of([1, 5])[1], atol=1e-6)


def test_images_and_strings_must_be_of_the_size():
  assert METHOD.inputs()["image"].range == (0.0, 1.0)
  with pytest.raises(ValueError, match=r"dims.encoder goes from side 4"):
    dataclasses.replace(METHOD, size=16).inputs()
