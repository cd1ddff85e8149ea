"""What the card of SimMIM states exactly."""

import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.masks import tokens as masking
from jmim.methods.mim import simmim

VIT = simmim.SimMIM(
  variant="Ti/4", size=16, width=32, depths=(2,), heads=(4,), square=8
)
SWIN = dataclasses.replace(
  VIT, variant="SwinB/2", width=16, depths=(2, 2), heads=(2, 4), window=4
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
  return m, params, batch, m.draw(KEY, batch, 0)


@pytest.mark.parametrize(
  "size, square, patch, hidden", [(192, 32, 4, 22), (224, 32, 16, 30)]
)
def test_the_mask_has_whole_squares_and_exactly_the_ceiling(
  size, square, patch, hidden
):
  scores = jax.random.uniform(KEY, (5, size // square, size // square))
  mask = masking.squares(scores, 0.6, (size // patch,) * 2)
  per = square // patch
  cells = np.asarray(mask).reshape(5, size // square, per, size // square, per)
  assert (cells == cells[:, :, :1, :, :1]).all()
  assert (cells[:, :, 0, :, 0].sum((1, 2)) == hidden).all()


@pytest.mark.parametrize(
  "size, square, wanted",
  [
    (192, 32, 15.2),
    (192, 16, 7.2),
    (192, 8, 3.7),
    (192, 4, 2.1),
    (192, 64, 36.2),
    (32, 8, 4.6),
  ],
)
def test_average_distance_to_the_nearest_visible_pixel(size, square, wanted):
  rng, side = np.random.default_rng(0), size // square
  scores = jnp.asarray(rng.random((200, side, side), np.float32))
  masks = np.asarray(masking.squares(scores, 0.6, (size, size)), np.uint8)
  distance = [cv2.distanceTransform(m, cv2.DIST_L2, 5)[m == 1] for m in masks]
  found = np.concatenate(distance).mean()
  assert abs(found - wanted) < max(0.3, 0.03 * wanted)


def test_hidden_pixels_do_not_reach_the_prediction(case):
  m, params, batch, draws = case
  forward = jax.jit(m.forward)
  first = forward(params, batch, draws)
  pixels = np.asarray(first["mask"])
  for where, moves in ((pixels, False), (1 - pixels, True)):
    other = {"image": batch["image"] + where}
    gap = np.abs(forward(params, other, draws)["pred"] - first["pred"]).max()
    assert (gap > 1e-3) == moves


def test_visible_targets_do_not_reach_the_loss(case):
  m, params, batch, draws = case

  @jax.jit
  def loss(image):
    out = m.forward(params, batch, draws)
    error = jnp.abs(image - out["pred"]) * out["mask"]
    return error.sum() / (out["mask"].sum() + 1e-5) / 3, out["mask"]

  wanted, mask = loss(batch["image"])
  found, _ = jax.jit(lambda: m.loss("main", params, {}, {}, batch, draws, 0))()
  np.testing.assert_allclose(found, wanted, rtol=1e-6)
  assert loss(batch["image"] + 5 * (1 - mask))[0] == wanted
  assert abs(loss(batch["image"] + 5 * mask)[0] - wanted) > 1


def test_nothing_hidden_gives_loss_0_and_no_gradient_of_the_token(case):
  m, params, batch, draws = case
  draws = draws | {"mask": jnp.zeros_like(draws["mask"])}
  run = lambda m: jax.jit(
    jax.value_and_grad(lambda p: m.loss("main", p, {}, {}, batch, draws, 0)[0])
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
  m = dataclasses.replace(VIT, width=64, depths=(4,))
  params, _ = jax.jit(m.init)(KEY, {"image": IMAGE})
  named = trees.named(params["main"]["encoder"])
  for leaf, shrunk in (("attn/proj", True), ("attn/qkv", False)):
    std = np.asarray(named[f"blocks/layers/{leaf}/kernel"]).std((1, 2))
    wanted = 0.02 / (np.sqrt(2 * np.arange(1, 5)) if shrunk else np.ones(4))
    np.testing.assert_allclose(std, wanted, rtol=0.06)
  token = np.abs(named["mask_token"]).max()
  assert 0 < token <= 0.02
  assert not np.any(named["rel_pos_bias/table"])


def test_squares_that_do_not_fit_are_named():
  for square in (6, 12):
    with pytest.raises(ValueError, match="square"):
      dataclasses.replace(VIT, square=square).inputs()
