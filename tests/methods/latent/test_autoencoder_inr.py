import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import autoencoder_inr
from jmim.nn import resize
from jmim.nn.nets import autoencoder

METHOD = autoencoder_inr.AutoencoderINR.tiny()
PLAIN = field.replace(METHOD, dims=dict(variant="ae-f4"))
BASELINE = field.replace(PLAIN, implicit=dict(hidden=()))


def batch(side=8):
  x = np.random.default_rng(0).uniform(-1, 1, (2, side, side, 3))
  return {"image": jnp.asarray(x, jnp.float32)}


@pytest.mark.parametrize("method", [METHOD, BASELINE])
def test_the_loss_of_a_whole_grid_is_that_of_its_rendering(method, fill):
  """All pixels of a 5 x 5 grid, in place of drawn ones."""
  given = batch()
  weights = methods.Weights(fill(method, given, scale=0.2)[0])
  grid = np.stack(np.meshgrid(*[(np.arange(5) + 0.5) / 5] * 2, indexing="ij"))
  pixel = np.broadcast_to(grid.reshape(2, -1).T, (2, 25, 2))
  draws = {"pixel": jnp.asarray(pixel, jnp.float32), "side": jnp.int32(5)}
  if method.net.gaussian:
    draws["noise"] = jnp.asarray(
      np.random.default_rng(1).normal(size=(2, 4, 4, 3)), jnp.float32
    )

  @jax.jit
  def both(weights, given, draws):
    z = method.moments(weights, given, None)
    if method.net.gaussian:
      z = autoencoder.drawn(z, draws["noise"])
    made = method.render(weights, z, 5)
    return method.loss(weights, given, draws, 0)[0], made

  loss, made = both(weights, given, draws)
  truth = resize.images(given["image"], (5, 5))
  np.testing.assert_allclose(loss, np.abs(made - truth).mean(), rtol=1e-4)


def test_without_a_posterior_nothing_is_drawn_of_it():
  draws = PLAIN.drawn(jax.random.key(0), batch())
  assert set(draws) == {"pixel", "side"}
  assert set(METHOD.drawn(jax.random.key(0), batch())) == {*draws, "noise"}


def test_a_finer_truth_is_reduced_before_it_is_encoded(fill):
  finer, given = field.replace(PLAIN, image=16), batch(16)
  assert finer.inputs()["image"].shape == (16, 16, 3)
  weights = methods.Weights(fill(PLAIN, batch(), scale=0.2)[0])
  small = {"image": resize.images(given["image"], (8, 8), "smooth")}
  code = jax.jit(PLAIN.code)(weights, small)
  np.testing.assert_allclose(
    jax.jit(finer.code)(weights, given), code, rtol=1e-5, atol=1e-6
  )
  # Compared with the batch's own images, of whatever side that is.
  restored = jax.jit(lambda w, b: finer.restore(w, b, None))(weights, given)
  errors = jax.jit(lambda w, b: finer.errors(w, b, None))(weights, given)
  wanted = np.abs(restored["image"] - given["image"]).mean((1, 2, 3))
  np.testing.assert_allclose(errors["pixel"], wanted, rtol=1e-5)
  other = field.replace(finer, implicit=dict(side=11)).restore
  shape = jax.eval_shape(lambda w, b: other(w, b, None), weights, given)
  assert shape["image"].shape == (2, 11, 11, 3)


def test_the_code_is_the_mean_of_a_posterior(fill):
  given = batch()
  weights = methods.Weights(fill(METHOD, given, scale=0.2)[0])
  moments = jax.jit(lambda w, b: METHOD.moments(w, b, None))(weights, given)
  code = jax.jit(METHOD.code)(weights, given)
  np.testing.assert_array_equal(code, moments[..., :3])
  features = METHOD.features(weights, given, None)
  np.testing.assert_allclose(features, code.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(image=4), "reduced, not enlarged"),
    (dict(dims=dict(variant="vq-f4")), "dims.variant 'vq-f4' is none of"),
    (dict(pixels=dict(count=0)), "no fixed number"),
  ],
)
def test_fields_that_do_not_go_together_are_named(fields, seen):
  with pytest.raises(ValueError, match=seen):
    field.replace(METHOD, **fields).inputs()
