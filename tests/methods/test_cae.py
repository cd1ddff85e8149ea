"""What the card of CAE states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.mim import cae
from jmim.nn import patch as patching
from jmim.nn import posemb

TINY = dataclasses.replace(cae.CAE.tiny(), drop_path=0.0)
KEY = jax.random.key(0)
IMAGE = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def case():
  """(params, consts, batch, draws) of the tiny method."""
  batch = {"image": IMAGE}
  params, _ = jax.jit(TINY.init)(KEY, batch)
  consts = {"codebook": TINY.consts()["codebook"].init(KEY)}
  return params, consts, batch, TINY.draw(KEY, batch, 0)


def pixels(mask):
  """[b, n] -> [b, 16, 16, 1]."""
  grid = np.asarray(mask, np.float32).reshape(-1, 4, 4)
  return np.kron(grid, np.ones((4, 4), np.float32))[..., None]


@pytest.mark.parametrize("blockwise", [True, False])
def test_exactly_so_many_patches_are_hidden(blockwise):
  m = dataclasses.replace(TINY, blockwise=blockwise, masked=7)
  mask = np.asarray(m.draw(KEY, {"image": IMAGE}, 0)["mask"])
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
  """Its gradient with respect to visible latents passes the regressor."""
  params, _, batch, draws = case
  out = TINY.forward(params, batch, draws)
  own = params["main"]["context"]["decoder"]
  from jmim.nn.decoders import cae as context  # noqa: PLC0415

  c = TINY.context
  decoder = context.LatentDecoder(
    size=dataclasses.replace(c.size, depth=c.depth),
    out=c.out,
    layer_scale=c.layer_scale,
  )
  table = posemb.sincos_2d(c.size.width, c.grid, "yx")[out["ids"]]
  logits = decoder.apply({"params": own}, out["pred"] + table)
  np.testing.assert_allclose(logits, out["logits"], atol=1e-5)


def test_no_gradient_through_the_target_and_none_with_weight_0(case):
  params, consts, batch, draws = case

  def grads(m, draws):
    fn = lambda p: m.loss("main", p, {}, consts, batch, draws, 0)[0]
    return jax.jit(jax.grad(fn))(params)

  off = dataclasses.replace(TINY, align=0.0)
  fn = lambda m, x: m.loss("main", params, {}, consts, {"image": x}, draws, 0)
  # Hidden pixels reach the loss through tokens and target only.
  hidden = pixels(draws["mask"])
  flow = lambda m: np.asarray(
    jax.grad(lambda x: fn(m, x)[0])(jnp.asarray(IMAGE))
  )
  for m in (TINY, off):
    assert not (flow(m) * hidden).any()
  a, b = grads(TINY, draws), grads(off, draws)
  same = jax.tree.map(lambda x, y: bool((x == y).all()), a, b)
  decoder = same["main"]["context"]["decoder"]
  assert all(jax.tree.leaves(decoder))  # alignment does not reach it
  assert not all(jax.tree.leaves(same["main"]["encoder"]))
  loss, aux = fn(off, IMAGE)
  assert loss == aux["main"]
  loss, aux = fn(TINY, IMAGE)
  np.testing.assert_allclose(loss, aux["main"] + 2 * aux["align"], rtol=1e-6)


def test_tokens_are_the_nearest_codes(case):
  _, consts, batch, _ = case
  x = np.asarray(patching.patchify(IMAGE, 4))
  codes = np.asarray(consts["codebook"]["codes"])
  wanted = ((x[:, :, None] - codes) ** 2).sum(-1).argmin(-1)
  np.testing.assert_array_equal(TINY.name(consts, batch), wanted)
  given = dataclasses.replace(TINY, tokens="batch")
  np.testing.assert_array_equal(given.name({}, {"tokens": wanted}), wanted)
  assert given.consts() == {} and "tokens" in given.inputs()


def test_rows_come_first_in_the_table():
  """The table of MAE with its halves swapped."""
  ours, maes = (posemb.sincos_2d(8, (3, 5), o) for o in ("yx", "xy"))
  np.testing.assert_array_equal(ours, np.roll(maes, 4, axis=1))
  assert TINY.encoder.order == "yx"


def test_equal_widths_have_no_bridge():
  m = dataclasses.replace(TINY, decoder_width=0)
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
  size = cae.CAE(variant=variant).encoder.size
  assert (size.width, size.depth, size.heads) == (width, depth, heads)


def test_only_the_patch_embedding_starts_small(case):
  """The authors' last initialisation is Xavier's, of linear layers only."""
  encoder = case[0]["main"]["encoder"]
  top = np.abs(encoder["patch_embed"]["proj"]["kernel"]).max()
  assert 0.015 < top <= 0.02
  assert not np.any(encoder["patch_embed"]["proj"]["bias"])
  assert np.abs(encoder["blocks"]["layers"]["mlp"]["fc1"]["kernel"]).max() > 0.1


def test_beit_init_is_small_and_truncated():
  m = dataclasses.replace(TINY, beit_init=True, depth=3)
  params, _ = m.init(KEY, {"image": IMAGE})
  layers = params["main"]["encoder"]["blocks"]["layers"]
  top = np.abs(layers["attn"]["proj"]["kernel"]).max((1, 2))
  wanted = 0.02 / np.sqrt(2 * np.arange(1, 4))
  assert (top <= wanted + 1e-6).all() and (top > 0.9 * wanted).all()


def test_what_does_not_fit_is_named():
  with pytest.raises(ValueError, match="masked"):
    dataclasses.replace(TINY, masked=16).inputs()
