"""What the card says of OriPID; the goldens have the numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import method as methods
from jmim.core import procedure
from jmim.methods.edit import img2img
from jmim.methods.edit import oripid
from jmim.metrics import retrieval

M = oripid.OriPID.tiny()
KEY, RNG = jax.random.key(0), np.random.default_rng(0)


def batch_of(m, b=4):
  return {
    name: jnp.asarray(RNG.normal(size=(b, *one.shape)), jnp.float32)
    if one.high is None
    else jnp.arange(b, dtype=jnp.int32)
    for name, one in m.inputs().items()
  }


def weights_of(m, batch):
  return methods.Weights(jax.jit(m.init)(KEY, batch)[0])


BATCH = batch_of(M)
WEIGHTS = weights_of(M, BATCH)


def test_features_are_one_linear_map_of_latents():
  features, latents = (
    M.predict()[name](WEIGHTS, {"image": BATCH["image"][:, 0]}, None)
    for name in ("features", "latents")
  )
  kernel = WEIGHTS.params["main"]["map"]["kernel"]
  assert kernel.shape == (48, 6)
  flat = np.asarray(BATCH["image"][:, 0]).reshape(4, 48)
  np.testing.assert_array_equal(latents, flat)
  np.testing.assert_allclose(features, flat @ kernel, atol=1e-5)


def test_of_several_edits_features_are_the_mean():
  features = M.predict()["features"]
  each = [
    features(WEIGHTS, {"image": BATCH["image"][:, i]}, None) for i in (0, 1)
  ]
  both = features(WEIGHTS, BATCH, None)
  np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-5)


@pytest.mark.parametrize("factor", [0.18215, 30.0])
def test_the_scale_of_latents_does_not_count(factor):
  """Neither for the loss and its gradient, nor for similarities."""
  scaled = BATCH | {"image": factor * BATCH["image"]}
  loss = jax.value_and_grad(
    lambda params, batch: M.loss(methods.Weights(params), batch, {}, 0)[0]
  )
  plain, other = loss(WEIGHTS.params, BATCH), loss(WEIGHTS.params, scaled)
  for a, b in zip(*map(jax.tree.leaves, (plain, other)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
  rows = [
    np.asarray(M.predict()["features"](WEIGHTS, x, None))
    for x in (BATCH, scaled)
  ]
  unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows]
  np.testing.assert_allclose(
    unit[0] @ unit[0].T, unit[1] @ unit[1].T, atol=1e-5
  )


def test_all_members_of_an_origin_are_of_its_class():
  _, aux = M.loss(WEIGHTS, BATCH, {}, 0)
  # Prototypes that are the features of the members: all are told.
  rows = M.mapped(WEIGHTS.params, BATCH["image"][:, 0])
  same = BATCH | {"image": jnp.repeat(BATCH["image"][:, :1], 2, axis=1)}
  prototypes = jnp.zeros((8, 6)).at[:4].set(rows)
  main = WEIGHTS.params["main"] | {"prototypes": prototypes}
  _, told = M.loss(methods.Weights({"main": main}), same, {}, 0)
  assert float(told["accuracy"]) == 1.0 >= float(aux["accuracy"])
  moved = same | {"origin": same["origin"] + 1}
  _, wrong = M.loss(methods.Weights({"main": main}), moved, {}, 0)
  assert float(wrong["accuracy"]) == 0.0


def test_starts_are_torchs_and_xaviers():
  m = field.replace(M, size=16, features=64, head=dict(classes=300))
  main = jax.jit(m.init)(KEY, {})[0]["main"]
  for array, bound in (
    (main["map"]["kernel"], 768**-0.5),  # Kaiming, a = sqrt 5
    (main["prototypes"], (6 / 364) ** 0.5),
  ):
    x = np.asarray(array)
    assert 0.98 * bound < np.abs(x).max() <= bound
    assert x.std() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_moments_are_sampled_unscaled_in_training_and_not_at_test():
  m = field.replace(
    M, channels=4, first_stage=dict(variant="kl-f8", read="moments")
  )
  batch = batch_of(m)
  assert batch["moments"].shape == (4, 2, 4, 4, 8)
  draws = m.drawn(KEY, batch)
  assert draws["posterior"].shape == (4, 2, 4, 4, 4)
  weights = weights_of(m, batch)
  mean, log_var = np.split(np.asarray(batch["moments"]), 2, axis=-1)
  sample = mean + np.exp(log_var / 2) * np.asarray(draws["posterior"])
  plain = field.replace(M, channels=4)
  found, _ = m.loss(weights, batch, draws, 0)
  wanted, _ = plain.loss(
    weights, {"image": jnp.asarray(sample), "origin": batch["origin"]}, {}, 0
  )
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  latents = m.predict()["latents"](weights, batch, KEY)
  np.testing.assert_allclose(latents, mean.reshape(4, 2, -1).mean(1), atol=1e-6)


def test_a_small_network_may_stand_before_the_map():
  m = field.replace(M, size=8, convolutions=2, cells=2)
  batch = batch_of(m)
  weights = weights_of(m, batch)
  assert m.width == 2 * 2 * 8
  assert weights.params["main"]["map"]["kernel"].shape == (32, 6)
  x = batch["image"][:, 0]
  found = m.predict()["features"](weights, {"image": x}, None)
  assert found.shape == (4, 6)
  # Means over cells: what is in another one changes nothing else.
  spoilt = x.at[:, 7, 7].add(1.0)
  again = m.predict()["features"](weights, {"image": spoilt}, None)
  assert float(jnp.abs(again - found).max()) > 1e-4


@pytest.mark.parametrize(
  "fields, words",
  [
    (dict(convolutions=2, channels=4), "first_stage.variant='none'"),
    (dict(convolutions=2, size=8, cells=3), "cells=3 with 2 places"),
    (dict(convolutions=2, size=3), "with 0 places"),
    (dict(first_stage=dict(variant="kl-f8", scale=0.0), channels=4), "scale 0"),
  ],
)
def test_what_does_not_go_together_is_named(fields, words):
  with pytest.raises(ValueError, match=words):
    field.replace(M, **fields).inputs()


def found_again(strength, told="random"):
  """mAP of edits of 12 images among all of them, by an untrained map."""
  toy = toydiffusion.make()
  models = {"source": procedure.Model.of(toy)}
  edit = img2img.Img2Img(steps=4, strength=strength, told=told)
  batch = toydiffusion.batch_of(edit.inputs(models), n=12)
  batch = jax.tree.map(jnp.asarray, batch)
  draws = procedure.drawn(edit, KEY, models, batch)
  draws["posterior"] *= 0.0
  made = edit.apply(models, {}, batch, draws)["image"]
  m = field.replace(M, size=8, features=12)
  weights = weights_of(m, {})
  rows = [
    np.asarray(m.predict()["features"](weights, {"image": x}, None))
    for x in (made, toy.decode(toy.encode(batch["image"])))
  ]
  number = np.arange(12)
  above = retrieval.wrong_above(*rows, number, number)
  return retrieval.average_precision(above).mean()


def test_at_strength_0_every_origin_is_found():
  assert found_again(0.0) == 1.0
  assert found_again(1.0) < 0.9


def test_prototypes_lie_by_class():
  assert M.axes() == ((r"/prototypes$", ("fsdp", None)),)
