"""What the card of SimMIM states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.mim import simmim
from jmim.methods.parts import backbone

VIT = simmim.SimMIM(
  size=16,
  backbone=backbone.Backbone(variant="Ti/4", width=32, depths=(2,), heads=(4,)),
  square=8,
)
SWIN = dataclasses.replace(
  VIT,
  backbone=backbone.Backbone(
    variant="SwinB/2", width=16, depths=(2, 2), heads=(2, 4), window=4
  ),
)
KEY = jax.random.key(0)
IMAGE = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=[VIT, SWIN], ids=["vit", "swin"])
def case(request):
  """(method, params, batch, draws)."""
  m, batch = request.param, {"image": IMAGE}
  params, _ = jax.jit(m.init)(KEY, batch)
  # Fresh tables are zero: positions must matter in these tests.
  noisy = lambda x: x + 0.1 * np.random.default_rng(1).normal(size=x.shape)
  params = jax.tree.map(lambda x: noisy(x).astype(np.float32), params)
  return m, params, batch, m.drawn(KEY, batch)


def test_hidden_pixels_do_not_reach_the_prediction(case):
  m, params, batch, draws = case
  forward = jax.jit(m.forward)
  first = forward(params, batch, draws)
  pixels = np.asarray(first["mask"])
  for where, moves in ((pixels, False), (1 - pixels, True)):
    other = {"image": batch["image"] + where}
    change = np.abs(forward(params, other, draws)["pred"] - first["pred"]).max()
    assert (change > 1e-3) == moves


def test_visible_targets_do_not_reach_the_loss(case):
  m, params, batch, draws = case

  @jax.jit
  def loss(image):
    out = m.forward(params, batch, draws)
    error = jnp.abs(image - out["pred"]) * out["mask"]
    return error.sum() / (out["mask"].sum() + 1e-5) / 3, out["mask"]

  expected, mask = loss(batch["image"])
  weights = methods.Weights(params)
  actual, _ = jax.jit(lambda: m.loss(weights, batch, draws, 0))()
  np.testing.assert_allclose(actual, expected, rtol=1e-6)
  assert loss(batch["image"] + 5 * (1 - mask))[0] == expected
  assert abs(loss(batch["image"] + 5 * mask)[0] - expected) > 1


def test_nothing_hidden_gives_loss_0_and_no_gradient_of_the_token(case):
  m, params, batch, draws = case
  draws = draws | {"mask": jnp.zeros_like(draws["mask"])}
  run = lambda m: jax.jit(
    jax.value_and_grad(lambda p: m.loss(methods.Weights(p), batch, draws, 0)[0])
  )(params)
  assert run(m)[0] == 0
  # Of all pixels there is a loss, but still nothing about the token.
  loss, grads = run(dataclasses.replace(m, all_pixels=True))
  assert loss > 0.1
  assert not np.any(grads["main"]["encoder"]["mask_token"])


def test_what_is_decayed():
  for m, decayed in ((VIT, 1.0), (SWIN, None)):
    groups = {g.pattern: g.decay for g in m.groups()}
    assert list(groups.values()) == ([decayed] if decayed else [])


def test_the_vit_starts_small_in_deep_blocks():
  deep = dataclasses.replace(VIT.backbone, width=64, depths=(4,))
  m = dataclasses.replace(VIT, backbone=deep)
  params, _ = jax.jit(m.init)(KEY, {"image": IMAGE})
  named = trees.named(params["main"]["encoder"])
  for leaf, shrunk in (("attn/proj", True), ("attn/qkv", False)):
    std = np.asarray(named[f"blocks/layers/{leaf}/kernel"]).std((1, 2))
    expected = 0.02 / (np.sqrt(2 * np.arange(1, 5)) if shrunk else np.ones(4))
    np.testing.assert_allclose(std, expected, rtol=0.06)
  token = np.abs(named["mask_token"]).max()
  assert 0 < token <= 0.02
  assert not np.any(named["rel_pos_bias/table"])


def test_squares_that_do_not_fit_are_named():
  for square in (6, 12):
    with pytest.raises(ValueError, match="square"):
      dataclasses.replace(VIT, square=square).inputs()


def test_a_swin_offers_no_layers_since_their_widths_differ():
  plain = {"features", "tokens", "reconstruct"}
  assert set(SWIN.predict()) == plain
  assert set(VIT.predict()) == plain | {"cls", "layers", "attention"}


def test_features_see_no_mask_token(case):
  m, params, batch, _ = case
  weights = methods.Weights(params)
  features = jax.jit(m.predict()["features"])
  first = features(weights, batch, KEY)
  changed = jax.tree.map(lambda x: x, params)
  changed["main"]["encoder"]["mask_token"] += 5
  second = features(methods.Weights(changed), batch, KEY)
  np.testing.assert_array_equal(first, second)
  whole = jax.jit(m.latent)(params["main"]["encoder"], batch["image"])
  np.testing.assert_allclose(first, whole.mean(1), atol=1e-5)


def test_the_reconstruction_is_that_of_the_masked_image(case):
  m, params, batch, _ = case
  shown = jax.jit(m.predict()["reconstruct"])(
    methods.Weights(params), batch, KEY
  )
  out = m.forward(params, batch, m.drawn(KEY, batch))
  np.testing.assert_allclose(shown["image"], out["pred"], atol=1e-4)
  np.testing.assert_array_equal(shown["mask"], out["mask"])
