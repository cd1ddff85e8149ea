import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import va_vae
from jmim.nn.nets import autoencoder

TINY = field.replace(
  va_vae.VAVAE.tiny(),
  losses=dict(perceptual="none", disc_start=3),
  alignment=dict(cosine_margin=0.0, pairs_margin=0.0, weight=0.5),
)


@pytest.fixture(scope="module")
def given(fill):
  """(weights, batch, draws)."""
  x = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
  batch = {"image": jnp.asarray(x)}
  params, _ = jax.jit(TINY.init)(jax.random.key(0), batch)
  consts = {"teacher": fill(TINY.vision, seed=1)}
  draws = TINY.drawn(jax.random.key(1), batch)
  return methods.Weights(params, {}, consts), batch, draws


def changed(weights, kernel):
  """The weights with another E."""
  auto = weights.params["autoencoder"]
  conv = {**auto["encoder"]["conv_out"], "kernel": kernel}
  encoder = {**auto["encoder"], "conv_out": conv}
  params = {**weights.params, "autoencoder": {**auto, "encoder": encoder}}
  return methods.Weights(params, weights.extra, weights.consts)


def test_alignment_moves_the_encoder_as_strongly_as_its_weight_says(given):
  weights, batch, draws = given

  def parts(kernel):
    _, aux = TINY.loss(changed(weights, kernel), batch, draws, 0)
    aligned = aux["alignment_weight"] * aux["alignment"]
    return jnp.stack([aux["nll"], aligned])

  kernel = weights.params["autoencoder"]["encoder"]["conv_out"]["kernel"]
  grads = np.asarray(jax.jit(jax.jacrev(parts))(kernel))
  nll, aligned = (np.sqrt((g**2).sum()) for g in grads)
  assert nll > 1
  np.testing.assert_allclose(aligned, TINY.alignment.weight * nll, rtol=1e-3)


def test_the_loss_is_its_parts_and_a_critic_not_begun_is_none(given):
  weights, batch, draws = given

  @jax.jit
  def losses(step):
    own = TINY.loss(weights, batch, draws, step, player="autoencoder")
    return own, TINY.loss(weights, batch, draws, step, player="discriminator")[
      0
    ]

  (early, aux), nothing = losses(2)
  vf = aux["alignment_weight"] * aux["alignment"]
  wanted = aux["nll"] + 1e-6 * aux["kl"] + vf
  np.testing.assert_allclose(early, wanted, rtol=1e-6)
  assert nothing == 0
  (late, aux), critic = losses(3)
  wanted += aux["disc_weight"] * aux["adversarial"]
  np.testing.assert_allclose(late, wanted, rtol=1e-5)
  assert critic > 0.1 and aux["disc_weight"] > 0


def test_a_critic_not_begun_has_no_gradient_even_where_its_weight_is_not_finite(
  given,
):
  """0 times it must not be nan: it stays bounded."""
  weights, batch, draws = given
  flat = jax.tree.map(jnp.zeros_like, weights.params["discriminator"])
  params = {**weights.params, "discriminator": flat}

  def loss(params, step):
    given = methods.Weights(params, {}, weights.consts)
    return TINY.loss(given, batch, draws, step)[0]

  grad = jax.jit(jax.grad(loss))
  grads = grad(params, 0)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  assert not any(g.any() for g in jax.tree.leaves(grads["discriminator"]))
  assert np.abs(grads["autoencoder"]["map"]["kernel"]).max() > 0


def test_without_weight_it_is_the_plain_autoencoder(given):
  weights, batch, draws = given
  plain = field.replace(
    autoencoder_kl.AutoencoderKL.tiny(),
    dims=TINY.dims,
    losses=dict(perceptual="none", disc_start=3),
  )
  none = field.replace(TINY, alignment=dict(weight=0.0))

  def grads(m):
    loss = lambda p: m.loss(
      methods.Weights(p, {}, weights.consts), batch, draws, 5
    )[0]
    return jax.jit(jax.value_and_grad(loss))(weights.params)

  (one, ours), (other, theirs) = grads(none), grads(plain)
  np.testing.assert_allclose(one, other, rtol=1e-6)
  assert not np.any(ours["autoencoder"]["map"]["kernel"])
  assert not np.any(theirs["autoencoder"]["map"]["kernel"])
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    ours,
    theirs,
  )


def test_features_are_of_the_places_of_the_code(given):
  """A patch of the image moves the features there the most (no norm, one
  block), and the vision model has no gradient."""
  weights, batch, _ = given
  x = batch["image"]
  f = TINY.seen(weights, x)
  assert f.shape == (2, 16, 16)
  moved = TINY.seen(weights, x.at[:, 2:4, 6:8].add(1.0))  # row 1, column 3
  change = np.square(moved - f).sum((0, 2))
  assert change.argmax() == 1 * 4 + 3
  grad = jax.grad(lambda x: TINY.seen(weights, x).sum())(x)
  assert not np.any(grad)


def test_cosines_and_latents_are_of_the_mean(given):
  weights, batch, _ = given
  run = jax.jit(
    lambda w, b: (
      TINY.errors(w, b, None),
      TINY.latents(w, b, None),
      TINY.moments(w, b, None),
      TINY.seen(w, b["image"]),
    )
  )
  errors, latents, moments, f = run(weights, batch)
  mean = np.asarray(autoencoder.posterior(moments)[0])
  np.testing.assert_array_equal(latents, mean.reshape(2, -1))
  p = mean.reshape(2, 16, -1) @ weights.params["autoencoder"]["map"]["kernel"]
  norm = lambda x: np.sqrt((np.asarray(x) ** 2).sum(-1))
  cos = (p * f).sum(-1) / (norm(p) * norm(f))
  np.testing.assert_allclose(errors["cosine"], cos.mean(-1), rtol=1e-4)


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(teacher=dict(family="none")), "has one"),
    (dict(channels=1), "channels 1"),
    (dict(teacher=dict(layer=3)), "1 blocks"),
    (dict(losses=dict(disc_layers=3)), "disc_layers"),
  ],
)
def test_fields_that_do_not_go_together_are_refused(fields, seen):
  with pytest.raises(ValueError, match=seen):
    field.replace(TINY, **fields).inputs()
