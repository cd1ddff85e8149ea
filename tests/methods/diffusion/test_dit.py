import dataclasses

import jax
import numpy as np

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.diffusion import dit

METHOD = dit.DiT.tiny()
RNG = np.random.default_rng(0)
BATCH = {
  "image": RNG.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32),
  "label": np.array([0, 1, 2]),
}


def filled(method=METHOD):
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), BATCH)
  fill = lambda s: 0.2 * RNG.normal(size=s.shape).astype(s.dtype)
  return methods.Weights(jax.tree.map(fill, shapes))


def test_the_loss_is_the_mean_of_its_terms():
  weights, draws = filled(), METHOD.drawn(jax.random.key(1), BATCH)
  loss, aux = jax.jit(METHOD.loss)(weights, BATCH, draws, 0)
  terms = jax.jit(METHOD.terms)(weights, BATCH, draws)
  assert set(terms) == {"mse", "vb"}
  np.testing.assert_allclose(loss, sum(terms.values()).mean(), rtol=1e-6)
  np.testing.assert_allclose(aux["loss_vb"], terms["vb"].mean(), rtol=1e-6)


def test_the_prediction_starts_at_zero():
  params, _ = jax.jit(METHOD.init)(jax.random.key(0), BATCH)
  draws = METHOD.drawn(jax.random.key(1), BATCH)
  _, aux = jax.jit(METHOD.loss)(methods.Weights(params), BATCH, draws, 0)
  np.testing.assert_allclose(
    aux["loss_mse"], (draws["noise"] ** 2).mean(), rtol=1e-5
  )


def test_the_bound_does_not_teach_the_mean():
  params, _ = jax.jit(METHOD.init)(jax.random.key(0), BATCH)
  draws = METHOD.drawn(jax.random.key(1), BATCH)
  draws["t"] = draws["t"].at[0].set(0)  # the likelihood's branch too

  def vb(p):
    return METHOD.terms(methods.Weights(p), BATCH, draws)["vb"].sum()

  grad = jax.jit(jax.grad(vb))(params)["main"]["pred"]["kernel"]
  channels = np.asarray(grad).reshape(-1, 2, 2, 6)
  assert not channels[..., :3].any() and np.abs(channels[..., 3:]).max() > 0


def test_without_a_learned_variance_there_is_half_the_output_and_no_bound():
  plain = field.replace(
    METHOD, noise=dict(learn_variance=False, variance="small")
  )
  assert plain.net.out * 2 == METHOD.net.out
  draws = plain.drawn(jax.random.key(1), BATCH)
  terms = jax.eval_shape(plain.terms, filled(plain), BATCH, draws)
  assert set(terms) == {"mse"}


def test_a_dropped_label_is_none():
  weights = filled()
  draws = METHOD.drawn(jax.random.key(1), BATCH)
  dropped = {**draws, "label_drop": np.zeros(3)}
  loss = jax.jit(lambda b, d: METHOD.terms(weights, b, d)["mse"])
  other = {**BATCH, "label": np.array([2, 0, 1])}
  np.testing.assert_array_equal(loss(BATCH, dropped), loss(other, dropped))
  kept = {**draws, "label_drop": np.ones(3)}
  assert np.abs(loss(BATCH, kept) - loss(other, kept)).min() > 1e-6


def test_features_know_no_label():
  weights = filled()
  unlabelled = {**BATCH, "label": np.array([2, 0, 1])}
  features, key = jax.jit(METHOD.features), jax.random.key(0)
  np.testing.assert_array_equal(
    features(weights, BATCH, key), features(weights, unlabelled, key)
  )


def test_the_network_is_built_from_the_parts():
  wide = field.replace(METHOD, labels=dict(classes=7), dims=dict(depth=1))
  assert wide.net.classes == 7 and wide.net.size.depth == 1
  assert dataclasses.replace(METHOD, size=16).net.grid == (8, 8)
