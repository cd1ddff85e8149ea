"""Nothing is drawn, and the scale is the method's own."""

import jax
import numpy as np

from jmim.core import method as methods
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_mode
from jmim.nn.nets import autoencoder

KL = stages.FirstStage(variant="kl-f4", width=4, blocks=1, path="W", scale=0.5)
VQ = stages.FirstStage(variant="vq-f4", width=4, blocks=1, codes=8, scale=2.0)
RNG = np.random.default_rng(0)
MOMENTS = RNG.normal(size=(3, 2, 2, 6)).astype(np.float32)
NOTHING = methods.Weights({})


def test_the_mode_is_the_mean_of_the_posterior():
  mean = MOMENTS[..., :3]
  found = latent_mode.latents(KL, NOTHING, {"moments": MOMENTS})
  np.testing.assert_array_equal(found, 0.5 * mean)
  # What is drawn without noise is the same.
  drawn = autoencoder.drawn(MOMENTS, np.zeros_like(mean))
  np.testing.assert_array_equal(0.5 * drawn, found)


def test_a_quantised_stage_has_no_posterior():
  z = MOMENTS[..., :3]
  found = latent_mode.latents(VQ, NOTHING, {"moments": z})
  np.testing.assert_array_equal(found, 2.0 * z)


def test_without_a_first_stage_images_are_the_latents():
  found = latent_mode.latents(stages.FirstStage(), NOTHING, {"image": MOMENTS})
  assert found is MOMENTS and latent_mode.consts(stages.FirstStage()) == {}


def test_latents_have_no_gradient():
  loss = lambda m: latent_mode.latents(KL, NOTHING, {"moments": m}).sum()
  np.testing.assert_array_equal(jax.grad(loss)(MOMENTS), 0)


def test_the_factor_of_the_weights_is_not_compared():
  (known,) = KL.consts().values()
  (const,) = latent_mode.consts(KL).values()
  assert known.agrees and const.agrees == {}
  assert (const.path, const.sha256) == (known.path, known.sha256)


def test_images_are_encoded_with_noise_or_at_the_mode():
  params = jax.eval_shape(KL.net.init, jax.random.key(0))
  params = jax.tree.map(
    lambda s: 0.1 * RNG.normal(size=s.shape).astype(s.dtype), params
  )
  weights = methods.Weights({}, {}, {"first_stage": params})
  images = RNG.normal(size=(1, 8, 8, 3)).astype("f4")
  noise = RNG.normal(size=(1, 2, 2, 3)).astype("f4")
  encoded = jax.jit(lambda x, n: latent_mode.encoded(KL, weights, x, n))
  batch = {"image": images}
  stage = stages.dataclasses.replace(KL, read="images")
  drawn = jax.jit(stage.encode)(weights, batch, {"posterior": noise})
  np.testing.assert_allclose(encoded(images, noise), drawn, atol=1e-5)
  mode = jax.jit(lambda b: latent_mode.latents(stage, weights, b))(batch)
  np.testing.assert_allclose(encoded(images, None), mode, atol=1e-5)
  slope = jax.grad(lambda x: encoded(x, noise).sum())(images)
  assert np.abs(slope).max() > 0


def test_folded_images_are_latents_and_come_back():
  fold = stages.FirstStage(variant="fold2")
  images = RNG.normal(size=(2, 8, 6, 3)).astype("f4")
  z = latent_mode.encoded(fold, NOTHING, images)
  assert z.shape == (2, 4, 3, 12)
  np.testing.assert_array_equal(fold.decode(NOTHING, z), images)
