"""What the card of CAE states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.mim import cae
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.decoders import cae as decoders

TINY = dataclasses.replace(cae.CAE.tiny(), drop_path=0.0)
KEY = jax.random.key(0)
IMAGE = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)


def with_part(method, name, **changes):
  """The method with other fields of one of its parts."""
  part = dataclasses.replace(getattr(method, name), **changes)
  return dataclasses.replace(method, **{name: part})


@pytest.fixture(scope="module")
def case():
  """(params, consts, batch, draws) of the tiny method."""
  batch = {"image": IMAGE}
  params, _ = jax.jit(TINY.init)(KEY, batch)
  consts = {"codebook": jax.jit(TINY.consts()["codebook"].init)(KEY)}
  return params, consts, batch, TINY.drawn(KEY, batch)


def pixels(mask):
  """[b, n] -> [b, 16, 16, 1]."""
  grid = np.asarray(mask, np.float32).reshape(-1, 4, 4)
  return np.kron(grid, np.ones((4, 4), np.float32))[..., None]


@pytest.mark.parametrize("blockwise", [True, False])
def test_exactly_so_many_patches_are_hidden(blockwise):
  m = dataclasses.replace(TINY, blockwise=blockwise, masked=7)
  mask = np.asarray(m.drawn(KEY, {"image": IMAGE})["mask"])
  np.testing.assert_array_equal(mask.sum(1), 7)


def test_each_branch_sees_its_own_patches(case):
  params, _, batch, draws = case
  forward = jax.jit(lambda x: TINY.forward(params, {"image": x}, draws))
  first, hidden = forward(IMAGE), pixels(draws["mask"])
  moved = forward(IMAGE * (1 + 2 * hidden))
  np.testing.assert_array_equal(moved["visible"], first["visible"])
  np.testing.assert_array_equal(moved["logits"], first["logits"])
  assert np.abs(moved["target"] - first["target"]).max() > 1e-3
  moved = forward(IMAGE * (3 - 2 * hidden))
  np.testing.assert_array_equal(moved["target"], first["target"])
  assert np.abs(moved["pred"] - first["pred"]).max() > 1e-3


def test_the_decoder_sees_predictions_only(case):
  """Its logits come of the predictions and the places of hidden patches."""
  params, _, batch, draws = case
  out = jax.jit(TINY.forward)(params, batch, draws)
  c = TINY.context
  decoder = decoders.LatentDecoder(
    size=dataclasses.replace(c.size, depth=c.decoder_depth),
    out=c.out,
    layer_scale=c.layer_scale,
  )
  table = posemb.sincos_2d(c.size.width, c.grid, "yx")[out["ids"]]
  variables = {"params": params["main"]["context"]["decoder"]}
  logits = jax.jit(decoder.apply)(variables, out["pred"] + table)
  np.testing.assert_allclose(logits, out["logits"], atol=1e-5)


def test_no_gradient_through_the_target_and_none_with_weight_0(case):
  params, consts, batch, draws = case

  def derivatives(m):
    """(loss, aux), (gradient by the parameters, by the image)."""

    def loss(params, image):
      weights = methods.Weights(params, {}, consts)
      return m.loss(weights, {"image": image}, draws, 0)

    slope = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    return slope(params, jnp.asarray(IMAGE))

  off = dataclasses.replace(TINY, align=0.0)
  (total, aux), (a, to_pixels) = derivatives(TINY)
  (total_off, aux_off), (b, to_pixels_off) = derivatives(off)
  # Hidden pixels reach the loss through tokens and target only.
  hidden = pixels(draws["mask"])
  for slope in (to_pixels, to_pixels_off):
    assert not (np.asarray(slope) * hidden).any()
  same = jax.tree.map(lambda x, y: bool((x == y).all()), a, b)
  decoder = same["main"]["context"]["decoder"]
  assert all(jax.tree.leaves(decoder))  # alignment does not reach it
  assert not all(jax.tree.leaves(same["main"]["encoder"]))
  assert total_off == aux_off["main"]
  np.testing.assert_allclose(total, aux["main"] + 2 * aux["align"], rtol=1e-6)


def test_tokens_of_the_batch_or_of_the_codebook_are_named(case):
  """Either source gives the same loss for the same tokens."""
  params, consts, batch, draws = case
  weights = methods.Weights(params, {}, consts)
  tokens = TINY.tokenizer.ids(weights, batch, 4)
  given = with_part(TINY, "tokenizer", source="batch")
  assert given.consts() == {} and "tokens" in given.inputs()
  losses = [
    jax.jit(m.loss)(methods.Weights(params, {}, c), b, draws, 0)[1]["main"]
    for m, c, b in (
      (TINY, consts, batch),
      (given, {}, batch | {"tokens": tokens}),
    )
  ]
  np.testing.assert_allclose(*losses, rtol=1e-6)


def test_rows_come_first_in_the_table():
  """The table of MAE with its halves swapped."""
  ours, maes = (posemb.sincos_2d(8, (3, 5), o) for o in ("yx", "xy"))
  np.testing.assert_array_equal(ours, np.roll(maes, 4, axis=1))
  assert TINY.encoder.order == "yx"


def test_equal_widths_have_no_bridge():
  m = with_part(TINY, "regressor", width=0)
  shapes = jax.eval_shape(m.init, KEY, {"image": IMAGE})[0]
  assert set(shapes["main"]["context"]) == {"regressor", "decoder"}


@pytest.mark.parametrize(
  "variant, width, depth, heads",
  [
    ("Ti/16", 192, 12, 12),
    ("S/16", 384, 12, 12),
    ("B/16", 768, 12, 12),
    ("L/16", 1024, 24, 16),
  ],
)
def test_published_sizes(variant, width, depth, heads):
  size = cae.CAE(dims=sizes.Dims(variant=variant)).encoder.size
  assert (size.width, size.depth, size.heads) == (width, depth, heads)


def test_only_the_patch_embedding_starts_small(case):
  """The authors' last initialisation is Xavier's, of linear layers only."""
  encoder = case[0]["main"]["encoder"]
  top = np.abs(encoder["patch_embed"]["proj"]["kernel"]).max()
  assert 0.015 < top <= 0.02
  assert not np.any(encoder["patch_embed"]["proj"]["bias"])
  assert np.abs(encoder["blocks"]["layers"]["mlp"]["fc1"]["kernel"]).max() > 0.1


def test_beit_init_is_small_and_truncated():
  m = with_part(dataclasses.replace(TINY, beit_init=True), "dims", depth=3)
  params, _ = jax.jit(m.init)(KEY, {"image": IMAGE})
  layers = params["main"]["encoder"]["blocks"]["layers"]
  top = np.abs(layers["attn"]["proj"]["kernel"]).max((1, 2))
  expected = 0.02 / np.sqrt(2 * np.arange(1, 4))
  assert (top <= expected + 1e-6).all() and (top > 0.9 * expected).all()


@pytest.mark.parametrize(
  "method, message",
  [
    (dataclasses.replace(TINY, masked=16), "masked 16 of 16 patches"),
    (with_part(TINY, "regressor", heads=3), "regressor width 16"),
    (with_part(TINY, "dims", heads=5), "width 32 does not divide by 5"),
  ],
)
def test_what_does_not_fit_is_named(method, message):
  with pytest.raises(ValueError, match=message):
    method.inputs()
