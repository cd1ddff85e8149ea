"""Invariants of the card; the goldens have the numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.methods.dense import diffmatch
from jmim.methods.parts import pyramid
from jmim.nn import matching

M = diffmatch.DiffMatch.tiny()
B = 3
BATCH = toydiffusion.batch_of(M.inputs(), B)
WEIGHTS = toydiffusion.fresh(M)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def made():
  return jax.jit(M.predict()["flow"])(WEIGHTS, BATCH, KEY)


def same_images():
  """Pairs of an image and itself."""
  first = jnp.asarray(BATCH["images"])[:, :1]
  return jnp.concatenate([first, first], axis=1)


def test_identical_images_begin_with_no_flow():
  flow, told = M.told(WEIGHTS, same_images(), None)
  np.testing.assert_array_equal(flow, 0)
  middle = 2 + (2 * M.matcher.radius + 1) ** 2 // 2
  np.testing.assert_allclose(told[..., middle], 1, atol=1e-3)


def test_the_truth_is_in_shares_of_width_and_height():
  flow = jnp.broadcast_to(jnp.array([6.0, -2.0]), (B, *M.span, 2))
  found = M.truth({"flow": flow})
  assert found.shape == (B, 4, 4, 2)
  np.testing.assert_allclose(found[..., 0], 6 / 12, atol=1e-6)
  np.testing.assert_allclose(found[..., 1], -2 / 8, atol=1e-6)
  back = matching.in_pixels(found, M.span)
  np.testing.assert_allclose(back, flow, atol=1e-5)


def test_what_is_not_known_has_no_error():
  draws, known = M.drawn(KEY, BATCH), jnp.asarray(BATCH["flow_known"])
  loss = lambda known: M.loss(WEIGHTS, BATCH | {"flow_known": known}, draws, 0)[
    0
  ]
  assert loss(0 * known) == 0
  left, right = (
    known.at[:, :, side].set(0) for side in (slice(6), slice(6, 12))
  )
  counts = [float(m.sum()) for m in (left, right)]
  parts = [float(loss(m)) for m in (left, right)]
  np.testing.assert_allclose(
    loss(known), np.average(parts, weights=counts), rtol=1e-5
  )
  assert abs(parts[0] - parts[1]) > 1e-4


def test_first_hypotheses_do_not_depend_on_others(made):
  more = field.replace(M, hypotheses=dict(count=3))
  again = jax.jit(more.predict()["flow"])(WEIGHTS, BATCH, KEY)
  assert again["hypotheses"].shape == (B, 3, *M.span, 2)
  np.testing.assert_allclose(
    again["hypotheses"][:, :2], made["hypotheses"], rtol=1e-3, atol=1e-3
  )
  assert np.asarray(made["hypotheses"]).std(1).max() > 1e-2


def test_without_costs_the_likeliest_cells_remain(made):
  blind = jax.jit(M.predict()["flow_blind"])(WEIGHTS, BATCH, KEY)
  np.testing.assert_array_equal(blind["initial"], made["initial"])
  assert np.abs(blind["flow"] - made["flow"]).max() > 1e-3
  _, told = M.told(WEIGHTS, BATCH["images"], None, blind=True)
  assert not np.asarray(told[..., 2:]).any()


def test_corrupted_images_are_what_is_seen(made):
  name = "gaussian_noise"
  out = jax.jit(M.predict()[f"flow_{name}"])(WEIGHTS, BATCH, KEY)
  seen = M.hypotheses.corrupted(jnp.asarray(BATCH["images"]), name)
  np.testing.assert_allclose(out["images"], seen, atol=1e-5)
  np.testing.assert_array_equal(made["images"], BATCH["images"])
  assert np.abs(out["flow"] - made["flow"]).max() > 1e-3


def test_images_of_another_kind_of_network():
  """A ViT's parts of the depth in the place of convolutions."""
  dims = dict(variant="Ti/4", width=16, depth=2, heads=2)
  net = field.replace(pyramid.KINDS["vit"](), dims=dims)
  features = dataclasses.replace(M.features, net=net)
  vit = dataclasses.replace(M, features=features)
  vit.inputs()
  weights = toydiffusion.fresh(vit)
  out = jax.eval_shape(vit.predict()["flow"], weights, BATCH, KEY)
  assert out["flow"].shape == (B, *M.span, 2)


def test_features_of_the_target_are_channels_of_the_network():
  shown = field.replace(M, matcher=dict(target=(8, 1)))
  weights = toydiffusion.fresh(shown)
  _, told = shown.told(weights, BATCH["images"], None)
  assert told.shape[-1] == 2 + 9 + 4
  loss = shown.loss(weights, BATCH, shown.drawn(KEY, BATCH), 0)[0]
  assert np.isfinite(loss)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(sides=(8,)), "sides"),
    (dict(matcher=dict(levels=((8, 4),))), "maps 1 to 3"),
    (dict(sampling=dict(eta=1.0)), "sampling.eta"),
    (dict(noise=dict(learn_variance=True)), "learn_variance"),
  ],
)
def test_fields_that_do_not_go_together(fields, said):
  with pytest.raises(ValueError, match=said):
    field.replace(M, **fields).inputs()
