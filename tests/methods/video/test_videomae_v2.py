"""What the card of VideoMAE V2 states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import dual_masks
from jmim.methods.video import videomae_v2
from jmim.nn import sizes

TINY = dataclasses.replace(
  videomae_v2.VideoMAE.tiny(),
  size=16,
  masks=dual_masks.Masks(mask_ratio=0.75),
)
KEY = jax.random.key(0)
CLIPS = np.random.default_rng(0).normal(size=(2, 8, 16, 16, 3))
BATCH = {"video": CLIPS.astype(np.float32)}
T, H, W = TINY.grid


@pytest.fixture(scope="module")
def case():
  params, _ = jax.jit(TINY.init)(KEY, BATCH)
  return params, TINY.drawn(KEY, BATCH)


def test_decoders_of_the_published_sizes():
  for variant, width, heads in (
    ("S/16", 192, 3),
    ("B/16", 384, 6),
    ("L/16", 512, 8),
    ("g/14", 512, 8),
  ):
    size = videomae_v2.VideoMAE(dims=sizes.Dims(variant=variant)).decoder.size
    assert (size.width, size.heads, size.depth) == (width, heads, 4)
  for variant, grid, counts in (
    ("B/16", (8, 14, 14), (160, 784)),
    ("g/14", (8, 16, 16), (208, 1024)),
  ):
    m = videomae_v2.VideoMAE(dims=sizes.Dims(variant=variant))
    assert m.grid == grid and m.masks.counts(m.grid) == counts


def test_without_decoder_masking_it_is_videomae(case):
  params, draws = case
  masks = dataclasses.replace(TINY.masks, decoder_ratio=0.0)
  plain = dataclasses.replace(TINY, masks=masks)
  drawn = plain.drawn(KEY, BATCH)
  np.testing.assert_array_equal(drawn["left"], ~drawn["hidden"])
  loss, _ = jax.jit(plain.loss)(methods.Weights(params), BATCH, drawn, 0)
  out = jax.jit(plain.forward)(params, BATCH, drawn)
  assert out["weight"].all()
  expected = ((out["pred"] - out["target"]) ** 2).mean()
  np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_targets_that_do_not_count(case):
  """Those of visible or not decoded positions leave the loss as it is."""
  params, draws = case
  hidden, left = np.asarray(draws["hidden"]), np.asarray(draws["left"])
  out = jax.jit(TINY.forward)(params, BATCH, draws)

  def loss(scale):
    x = BATCH["video"] * scale + scale
    error = ((out["pred"] - TINY.target(x, out["ids"])) ** 2).mean(-1)
    return (error * out["weight"]).sum() / out["weight"].sum()

  def pixels(mask):
    grid = mask.reshape(2, T, H, W).astype(np.float32)
    full = np.kron(grid, np.ones((1, 2, 4, 4), np.float32))[..., None]
    ramp = np.random.default_rng(3).random((2, 8, 16, 16, 3), np.float32)
    return 1 + full * ramp

  unchanged = loss(np.float32(1))
  whole, _ = jax.jit(TINY.loss)(methods.Weights(params), BATCH, draws, 0)
  np.testing.assert_allclose(unchanged, whole, rtol=1e-5)
  assert loss(pixels(~hidden | left)) == unchanged
  assert loss(pixels(hidden & ~left)) != unchanged


def test_hidden_pixels_do_not_reach_the_prediction(case):
  params, draws = case
  forward = jax.jit(lambda x: TINY.forward(params, {"video": x}, draws)["pred"])
  grid = np.asarray(draws["hidden"]).reshape(2, T, H, W).astype(np.float32)
  hidden = np.kron(grid, np.ones((1, 2, 4, 4), np.float32))[..., None]
  first = forward(BATCH["video"])
  np.testing.assert_array_equal(forward(BATCH["video"] * (1 + hidden)), first)
  moved = forward(BATCH["video"] * (2 - hidden))
  assert np.abs(moved - first).max() > 1e-3


def test_permuting_decoded_positions_permutes_predictions(case):
  params, draws = case
  out = TINY.forward(params, BATCH, draws)
  k, m = TINY.masks.counts(TINY.grid)
  keep = jnp.argsort(draws["hidden"], axis=1, stable=True)[:, :k]
  order = np.random.default_rng(1).permutation(m)
  pred = TINY.decoder.apply(
    {"params": params["main"]["decoder"]},
    out["latent"],
    keep,
    out["ids"][:, order],
  )
  np.testing.assert_allclose(pred, out["pred"][:, order], atol=1e-5)


def test_targets_are_normalised_per_tubelet_and_channel():
  ids = jnp.tile(jnp.arange(T * H * W), (2, 1))
  x = np.asarray(TINY.target(BATCH["video"], ids)).reshape(*ids.shape, -1, 3)
  np.testing.assert_allclose(x.mean(2), 0, atol=1e-4)
  np.testing.assert_allclose(x.std(2, ddof=1), 1, atol=1e-3)
  raw = dataclasses.replace(TINY, normalise=False)
  first = np.asarray(raw.target(BATCH["video"], ids))[0, 0]
  first = first.reshape(2, 4, 4, 3)
  expected = BATCH["video"][0, :2, :4, :4] * raw.std + np.array(raw.mean)
  np.testing.assert_allclose(first, expected, atol=1e-5)


def test_features_are_the_mean_of_all_tokens(case):
  params, _ = case
  features = TINY.predict()["features"](methods.Weights(params), BATCH, KEY)
  tokens = TINY.encoder.apply(
    {"params": params["main"]["encoder"]}, BATCH["video"]
  )
  assert tokens.shape[1] == T * H * W
  np.testing.assert_allclose(features, tokens.mean(1), atol=1e-6)


@pytest.mark.parametrize(
  "change, word",
  [
    ({"frames": 7}, "frames"),
    ({"size": 12}, "decoder_ratio"),
    ({"dims": sizes.Dims(variant="Ti/4", heads=5)}, "heads"),
    ({"decoder_dims": sizes.Blocks(width=9, heads=2)}, "decoder_width 9"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **change).inputs()
