"""What the card of CropMAE states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.mim import cropmae
from jmim.nn.decoders import cross

TINY = dataclasses.replace(cropmae.CropMAE.tiny(), dropout=0.0)
KEY = jax.random.key(0)
VIEWS = np.random.default_rng(0).normal(size=(2, 2, 16, 16, 3))
BATCH = {"views": VIEWS.astype(np.float32)}


@pytest.fixture(scope="module")
def case():
  params, _ = jax.jit(TINY.init)(KEY, BATCH)
  return params, TINY.draw(KEY, BATCH, 0)


@pytest.mark.parametrize("ratio, visible", [(0.985, 2), (0.95, 9), (0.75, 49)])
def test_visible_patches_of_224_pixels(ratio, visible):
  m = cropmae.CropMAE(mask_ratio=ratio)
  draws = {"noise": jax.random.uniform(KEY, (1, 196))}
  assert m.mask(draws).keep.shape[1] == visible


def test_the_source_has_no_order(case):
  """Its tokens in another order change nothing: no positions there."""
  params, draws = case
  out = TINY.forward(params, BATCH, draws)
  decode = lambda source: TINY.decoder.apply(
    {"params": params["main"]["decoder"]}, out["latent"], source, out["mask"]
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


def test_dropout_is_a_function_of_the_example():
  """Not of what else is in the batch, and its mean is what went in."""
  x = jnp.ones((4, 50, 64))
  keys = cross.dropout_draw(KEY, 0.25, 4)["dropout"]
  whole = cross.dropout(x, keys, 0.25, 3)
  np.testing.assert_array_equal(
    cross.dropout(x[2:], keys[2:], 0.25, 3), whole[2:]
  )
  assert set(np.unique(whole)) == {0.0, np.float32(1 / 0.75)}
  assert abs(whole.mean() - 1) < 0.02
  assert (cross.dropout(x, keys, 0.25, 4) != whole).any()
  assert cross.dropout_draw(KEY, 0.0, 4) == {}


def test_dropout_reaches_the_training_loss(case):
  params, draws = case
  m = dataclasses.replace(TINY, dropout=0.1)
  drawn = m.draw(KEY, BATCH, 0)
  loss = lambda d: float(m.loss("main", params, {}, {}, BATCH, d, 0)[0])
  other = drawn | {"dropout": drawn["dropout"] + 1}
  assert loss(drawn) != loss(other)
  np.testing.assert_allclose(
    loss(draws), float(TINY.loss("main", params, {}, {}, BATCH, draws, 0)[0])
  )
