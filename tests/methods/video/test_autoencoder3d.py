import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.video import autoencoder3d
from jmim.nn.nets import autoencoder

METHOD = field.replace(
  autoencoder3d.Autoencoder3D.tiny(), losses=dict(perceptual="none")
)
RNG = np.random.default_rng(0)
BATCH = {"video": RNG.uniform(-1, 1, (2, 10, 8, 8, 3)).astype("f4")}


@pytest.fixture(scope="module")
def weights(fill):
  return methods.Weights(fill(METHOD, BATCH, scale=0.2)[0])


def test_the_loss_is_of_chunks_and_counts_a_frame_once(weights):
  method = field.replace(METHOD, losses=dict(disc_start=9))
  draws = method.drawn(jax.random.key(1), BATCH)
  loss, aux = jax.jit(lambda w, d: method.loss(w, BATCH, d, 0))(weights, draws)
  p, net = weights.params["autoencoder"], method.net

  @jax.jit
  def part(x, noise):
    """(sum of errors, divergence) of one chunk of each clip."""
    moments = net.moments(p, x)
    z = autoencoder.drawn(moments, noise)
    made = net.pixels(p, net.features(p, z))
    return abs(made - x).sum(), autoencoder.divergence(moments).sum()

  x, noise = BATCH["video"], draws["noise"]
  parts = [part(x[:, :5], noise[:, :2]), part(x[:, 5:], noise[:, 2:])]
  nll = sum(float(n) for n, _ in parts) / 20
  kl = sum(float(k) for _, k in parts) / 20
  np.testing.assert_allclose(aux["kl"], kl, rtol=1e-4)
  np.testing.assert_allclose(loss, nll + 1e-6 * kl, rtol=1e-4)


def test_predictions_are_of_the_mean(weights):
  @jax.jit
  def outputs(weights):
    names = ("moments", "features", "restore", "errors")
    return [getattr(METHOD, n)(weights, BATCH, None) for n in names]

  moments, features, made, errors = outputs(weights)
  mean = np.asarray(moments)[..., :2]
  np.testing.assert_allclose(features, mean.mean((1, 2, 3)), rtol=1e-4)
  off = np.asarray(made["image"]) - BATCH["video"]
  np.testing.assert_allclose(
    errors["squared"], (off**2).mean((1, 2, 3, 4)), 1e-4
  )
  wanted = np.abs(off).mean((1, 2, 3, 4))
  np.testing.assert_allclose(errors["absolute"], wanted, rtol=1e-4)
  assert (made["target"] == BATCH["video"]).all()


def test_a_perceptual_loss_sees_frames():
  method = autoencoder3d.Autoencoder3D.tiny()
  assert set(method.consts()) == {"perceptual"}
  with pytest.raises(ValueError, match="frames 16"):
    field.replace(method, frames=16, dims=dict(chunk=17)).inputs()
  other = field.replace(method, trains="dual", dims=dict(variant="deep-f2x2"))
  with pytest.raises(ValueError, match="no dual paths"):
    other.inputs()
