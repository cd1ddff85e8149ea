"""What the card of VideoMAE V2 states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.video import videomae_v2
from jmim.nn.nets import video

TINY = dataclasses.replace(
  videomae_v2.VideoMAE.tiny(), size=16, mask_ratio=0.75
)
KEY = jax.random.key(0)
CLIPS = np.random.default_rng(0).normal(size=(2, 8, 16, 16, 3))
BATCH = {"video": CLIPS.astype(np.float32)}
T, H, W = TINY.grid


@pytest.fixture(scope="module")
def case():
  params, _ = jax.jit(TINY.init)(KEY, BATCH)
  return params, TINY.draw(KEY, BATCH, 0)


@pytest.mark.parametrize(
  "variant, side, hidden, visible",
  [("B/16", 14, 176, 160), ("g/14", 16, 230, 208)],
)
def test_tubes_of_the_published_sizes(variant, side, hidden, visible):
  m = videomae_v2.VideoMAE(variant=variant)
  assert m.grid == (8, side, side)
  assert m.counts == (visible, 4 * side * side)
  mask = video.tube(jax.random.uniform(KEY, (3, side**2)), 0.9, 8)
  steps = np.asarray(mask).reshape(3, 8, -1)
  assert (steps == steps[:, :1]).all() and (steps[:, 0].sum(1) == hidden).all()


def test_decoders_of_the_published_sizes():
  for variant, width, heads in (
    ("S/16", 192, 3),
    ("B/16", 384, 6),
    ("L/16", 512, 8),
    ("g/14", 512, 8),
  ):
    size = videomae_v2.VideoMAE(variant=variant).decoder.size
    assert (size.width, size.heads, size.depth) == (width, heads, 4)


@pytest.mark.parametrize("ratio, left", [(0.25, 1), (0.5, 2), (0.75, 3)])
def test_cells_run_through_the_video(ratio, left):
  mask = video.running_cell(jnp.arange(4), ratio, 8, (4, 6))
  maps = np.asarray(mask).reshape(4, 8, 4, 6)
  # In every frame the same share; in any four steps every place as often.
  assert (maps.sum((2, 3)) == 24 * left // 4).all()
  for start in range(5):
    assert (maps[:, start : start + 4].sum(1) == left).all()
  cells = maps.reshape(4, 8, 2, 2, 3, 2)
  assert (cells == cells[:, :, :1, :, :1]).all()
  # A later phase is a later time.
  np.testing.assert_array_equal(maps[1, :-1], maps[0, 1:])


def test_without_decoder_masking_it_is_videomae(case):
  params, draws = case
  plain = dataclasses.replace(TINY, decoder_ratio=0.0)
  drawn = plain.draw(KEY, BATCH, 0)
  np.testing.assert_array_equal(drawn["left"], ~drawn["hidden"])
  loss, _ = plain.loss("main", params, {}, {}, BATCH, drawn, 0)
  out = plain.forward(params, BATCH, drawn)
  assert out["weight"].all()
  wanted = ((out["pred"] - out["target"]) ** 2).mean()
  np.testing.assert_allclose(loss, wanted, rtol=1e-6)


def test_targets_that_do_not_count(case):
  """Those of visible or not decoded positions leave the loss as it is."""
  params, draws = case
  hidden, left = np.asarray(draws["hidden"]), np.asarray(draws["left"])
  out = TINY.forward(params, BATCH, draws)

  def loss(scale):
    x = BATCH["video"] * scale + scale
    error = ((out["pred"] - TINY.target(x, out["ids"])) ** 2).mean(-1)
    return (error * out["weight"]).sum() / out["weight"].sum()

  def pixels(mask):
    grid = mask.reshape(2, T, H, W).astype(np.float32)
    full = np.kron(grid, np.ones((1, 2, 4, 4), np.float32))[..., None]
    ramp = np.random.default_rng(3).random((2, 8, 16, 16, 3), np.float32)
    return 1 + full * ramp

  wanted = loss(np.float32(1))
  np.testing.assert_allclose(
    wanted, TINY.loss("main", params, {}, {}, BATCH, draws, 0)[0], rtol=1e-5
  )
  assert loss(pixels(~hidden | left)) == wanted
  assert loss(pixels(hidden & ~left)) != wanted


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
  k, m = TINY.counts
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
  wanted = BATCH["video"][0, :2, :4, :4] * raw.std + np.array(raw.mean)
  np.testing.assert_allclose(first, wanted, atol=1e-5)


def test_random_masks_hide_as_much_without_tubes():
  m = dataclasses.replace(TINY, mask="random")
  hidden = np.asarray(m.draw(KEY, BATCH, 0)["hidden"])
  assert (hidden.sum(1) == T * H * W - m.counts[0]).all()
  steps = hidden.reshape(2, T, -1)
  assert (steps != steps[:, :1]).any()


@pytest.mark.parametrize(
  "change, word",
  [
    ({"frames": 7}, "frames"),
    ({"size": 12}, "decoder_ratio"),
    ({"heads": 5}, "heads"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **change).inputs()
