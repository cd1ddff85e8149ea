import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.latent import arbscale
from jmim.methods.latent import autoencoder_inr

METHOD = arbscale.ArbScale.tiny()
SMALL = field.replace(
  METHOD,
  first_stage=dict(variant="ae-f4", width=4, scale=0.5),
  condition=dict(task="none"),
  dims=dict(width=8),
  pixels=dict(sides=()),
)


def batch():
  x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3))
  return {"image": jnp.asarray(x, jnp.float32)}


@functools.cache
def weights(method=SMALL):
  rng = np.random.default_rng(1)
  noisy = lambda x: x + 0.05 * rng.normal(size=x.shape).astype(np.float32)
  params, extra = jax.jit(method.init)(jax.random.key(0), batch())
  first = jax.jit(method.first_stage.net.init)(jax.random.key(1))
  params = jax.tree.map(noisy, params)
  return methods.Weights(params, extra, {"first_stage": first})


@pytest.mark.parametrize("error", ["l1", "l2"])
def test_the_alignment_adds_the_weighted_error_of_the_image(error):
  """Both terms from the equations, with every pixel of the image."""
  method = dataclasses.replace(SMALL, error=error, pixels=type(SMALL.pixels)())
  draws = jax.jit(method.drawn)(jax.random.key(2), batch())
  stage, p = (
    method.first_stage,
    (lambda x: abs(x)) if error == "l1" else np.square,
  )

  @jax.jit
  def run(weights, batch, draws):
    z = stage.encode(weights, batch, draws)
    x_t, a, s = method.noise.add(z, draws["t"], draws["noise"])
    e = method.network(weights.params, x_t, draws["t"], {})
    z0 = (x_t - s * e) / a
    made = stage.net.render(weights.consts["first_stage"], z0 / 0.5, (16, 16))
    loss, aux = method.loss(weights, batch, draws, 0)
    return loss, aux, (z, z0, e, made, a / s)

  loss, aux, found = run(weights(), batch(), draws)
  z, z0, e, made, w = (np.asarray(x, np.float64) for x in found)
  gap = w * (z - z0)
  np.testing.assert_allclose(gap, e - draws["noise"], atol=1e-5)
  latent = p(gap).mean()
  image = p(w * (np.asarray(batch()["image"]) - made)).mean()
  np.testing.assert_allclose(aux["loss_latent"], latent, rtol=1e-4)
  np.testing.assert_allclose(aux["loss_image"], image, rtol=1e-4)
  np.testing.assert_allclose(loss, latent + image, rtol=1e-4)


def test_the_image_moves_the_unet_and_nothing_else():
  """The decoder is no parameter: none that is trained, saved or averaged."""
  held = set(trees.named(weights().consts["first_stage"]))
  own = set(trees.named((weights().params, weights().extra)))
  assert held and not any(n.endswith(h) for n in own for h in held)
  draws = jax.jit(SMALL.drawn)(jax.random.key(2), batch())

  def image(params):
    w = dataclasses.replace(weights(), params=params)
    return SMALL.loss(w, batch(), draws, 0)[1]["loss_image"]

  grads = jax.jit(jax.grad(image))(weights().params)
  assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(grads))


def test_the_first_batch_is_shown_and_decoded_with_the_scale_it_measures():
  shown = dict(task="lowres", reduction=2)
  method = field.replace(SMALL, first_stage=dict(scale=0.0), condition=shown)
  draws, loss = jax.jit(method.drawn)(jax.random.key(2), batch()), method.loss
  own = weights(method)
  at = lambda x: dataclasses.replace(own, extra={"scale": x})
  step = jax.jit(lambda x: loss(at(x), batch(), draws, 0))
  first, aux = step(jnp.float32(0))
  assert abs(aux["latent_scale"] - 1) > 0.1
  np.testing.assert_allclose(step(aux["latent_scale"])[0], first, rtol=1e-5)


def test_without_alignment_it_is_the_loss_of_the_noise():
  plain = dataclasses.replace(SMALL, align=False)
  draws = jax.jit(plain.drawn)(jax.random.key(2), batch())
  assert "pixel" not in draws
  loss, _ = jax.jit(plain.loss)(weights(), batch(), draws, 0)
  errors = jax.jit(plain.errors)(weights(), batch(), jax.random.key(2))
  np.testing.assert_allclose(loss, errors["eps"].mean(), rtol=1e-4)
  # The error of the image is measured all the same, on the same pixels.
  aligned = jax.jit(SMALL.errors)(weights(), batch(), jax.random.key(2))
  np.testing.assert_allclose(errors["image"], aligned["image"], rtol=1e-5)


def test_one_latent_is_sampled_at_any_size():
  key, index = jax.random.key(3), {"index": jnp.arange(2)}
  at = lambda **f: jax.jit(
    field.replace(SMALL, first_stage=dict(implicit=f)).sample
  )
  assert at()(weights(), index, key).shape == (2, 16, 16, 3)
  large = at(side=21)(weights(), index, key)
  z = jax.jit(
    lambda w: SMALL.sampling.sample(
      SMALL.noise,
      functools.partial(SMALL.network, w.params),
      condition=SMALL.guiding(w, index),
      shape=SMALL.shape,
      batch=index,
      key=key,
    )
  )(weights())
  net = SMALL.first_stage.net
  render = jax.jit(net.render, static_argnums=2)
  expected = render(weights().consts["first_stage"], z / 0.5, (21, 21))
  np.testing.assert_allclose(large, expected, atol=1e-5)


def test_what_is_shown_the_image_is_compared_with_it():
  """`restore` is LDM's; at another side than the images' there is no truth."""
  lowres = field.replace(SMALL, condition=dict(task="lowres", reduction=2))
  outputs = set(lowres.predict())
  assert outputs == {"errors", "sample", "restore"}
  larger = field.replace(lowres, first_stage=dict(implicit=dict(side=24)))
  assert set(larger.predict()) == set(SMALL.predict()) == {"errors", "sample"}
  key, given = jax.random.key(4), batch() | {"index": jnp.arange(2)}
  run = lambda name: jax.jit(lowres.predict()[name])(
    weights(lowres), given, key
  )
  made = run("restore")["image"]
  assert made.shape == given["image"].shape
  np.testing.assert_array_equal(made, run("sample"))


def test_a_run_of_the_first_stage_has_the_arrays_of_the_const():
  first = field.replace(
    autoencoder_inr.AutoencoderINR(),
    size=16,
    dims=dict(variant="ae-f4", width=4, blocks=1),
    implicit=dict(hidden=SMALL.first_stage.implicit.hidden),
  )
  shapes = lambda init: jax.eval_shape(init, jax.random.key(0))
  ours, theirs = shapes(first.net.init), shapes(SMALL.first_stage.net.init)
  assert trees.named(ours).items() == trees.named(theirs).items()


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(first_stage=dict(implicit=dict(hidden=()))), "latent.ldm needs none"),
    (dict(first_stage=dict(variant="none")), "latent.ldm needs none"),
    (dict(weight="min_snr"), "both of its errors are 'uniform'"),
    (dict(prediction="v"), "it is of 'eps'"),
    (dict(first_stage=dict(read="moments")), "and of 'images'"),
    (dict(pixels=dict(sides=(5, 3))), "least and the greatest"),
    (dict(condition=dict(task="lowres", reduction=3)), "does not divide"),
  ],
)
def test_fields_that_do_not_go_together_are_named(fields, seen):
  with pytest.raises(ValueError, match=seen):
    field.replace(SMALL, **fields).inputs()
