"""What the card of CropMAE states exactly."""

import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.mim import cropmae
from jmim.methods.parts import pixels
from jmim.nn import patch as patching

TINY = dataclasses.replace(cropmae.CropMAE.tiny(), dropout=0.0)
KEY = jax.random.key(0)
VIEWS = np.random.default_rng(0).normal(size=(2, 2, 16, 16, 3))
BATCH = {"views": VIEWS.astype(np.float32)}


@pytest.fixture(scope="module")
def case():
  params, _ = jax.jit(TINY.init)(KEY, BATCH)
  return params, TINY.drawn(KEY, BATCH)


def test_the_source_has_no_order(case):
  """Its tokens in another order change nothing: no positions there."""
  params, draws = case
  out = jax.jit(TINY.forward)(params, BATCH, draws)
  variables = {"params": params["main"]["decoder"]}
  decode = jax.jit(
    lambda x: TINY.decoder.apply(variables, out["latent"], x, out["mask"])
  )
  order = np.random.default_rng(1).permutation(17)
  np.testing.assert_allclose(
    decode(out["source"][:, order]), out["pred"], atol=1e-5
  )
  assert np.abs(decode(0 * out["source"]) - out["pred"]).max() > 1e-3


def test_what_reaches_the_prediction(case):
  params, draws = case
  forward = jax.jit(lambda v: TINY.forward(params, {"views": v}, draws)["pred"])
  mask = np.asarray(TINY.mask(draws).mask).reshape(2, 4, 4)
  hidden = np.kron(mask, np.ones((4, 4)))[..., None]
  first = forward(BATCH["views"])
  for view, where, moves in (
    (0, np.ones_like(hidden), True),
    (1, hidden, False),
    (1, 1 - hidden, True),
  ):
    views = BATCH["views"].copy()
    views[:, view] += 3 * where.astype(np.float32) * VIEWS[:, 1 - view]
    assert (np.abs(forward(views) - first).max() > 1e-3) == moves


def test_visible_targets_do_not_reach_the_loss(case):
  params, draws = case
  out = TINY.forward(params, BATCH, draws)
  mask = np.asarray(out["mask"].mask).reshape(2, 4, 4)
  hidden = np.kron(mask, np.ones((4, 4)))[..., None].astype(np.float32)
  loss = lambda x: TINY.reconstruction_loss(out, {"image": x})
  target = BATCH["views"][:, 1]
  scale = 2 + np.random.default_rng(2).random(target.shape, np.float32)
  assert loss(np.where(hidden, target, scale * target)) == loss(target)
  assert loss(np.where(hidden, scale * target, target)) != loss(target)


@pytest.mark.parametrize(
  "strategy, source, target",
  [("GlobalToLocal", 0, 1), ("LocalToGlobal", 1, 0), ("SameViews", 0, 0)],
)
def test_strategies_choose_the_views(strategy, source, target):
  m = dataclasses.replace(TINY, strategy=strategy)
  a, b = m.views(BATCH)
  np.testing.assert_array_equal(a, BATCH["views"][:, source])
  np.testing.assert_array_equal(b, BATCH["views"][:, target])


def test_dropout_reaches_the_training_loss(case):
  params, draws = case
  m = dataclasses.replace(TINY, dropout=0.1)
  weights, drawn = methods.Weights(params), m.drawn(KEY, BATCH)
  loss = lambda d: float(m.loss(weights, BATCH, d, 0)[0])
  other = drawn | {"dropout": drawn["dropout"] + 1}
  assert loss(drawn) != loss(other)
  # Without keys, as in an evaluation of given draws, nothing is dropped.
  np.testing.assert_allclose(
    loss(draws), float(TINY.loss(weights, BATCH, draws, 0)[0])
  )


def test_a_foreign_source_is_the_view_of_the_next_example():
  m = dataclasses.replace(TINY, strategy="ForeignToLocal")
  source, target = m.views(BATCH)
  np.testing.assert_array_equal(source, BATCH["views"][::-1, 0])
  np.testing.assert_array_equal(target, BATCH["views"][:, 1])


def test_features_are_of_view_0_and_pictures_of_the_target(case):
  params, _ = case
  weights, predict = methods.Weights(params), TINY.predict()
  features = predict["features"](weights, BATCH, KEY)
  latent = TINY.encoder.apply(
    {"params": params["main"]["encoder"]}, BATCH["views"][:, 0]
  )["latent"]
  np.testing.assert_allclose(features, latent[:, 1:].mean(1), atol=1e-5)
  shown = predict["reconstruct"](weights, BATCH, KEY)
  out = TINY.forward(params, BATCH, TINY.drawn(KEY, BATCH))
  patches = patching.patchify(BATCH["views"][:, 1], 4)
  mean, std = pixels.statistics(patches)
  expected = patching.unpatchify(out["pred"] * std + mean, 4)
  np.testing.assert_allclose(shown["image"], expected, atol=1e-4)


def test_published_decoders_are_narrow_with_wide_mlps():
  m = cropmae.CropMAE()
  size = m.decoder.size
  assert (size.width, size.depth, size.heads) == (256, 4, 8)
  assert m.decoder.hidden == 2048
  assert (m.dims.variant, m.mask_ratio) == ("S/16", 0.985)
