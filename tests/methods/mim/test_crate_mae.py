"""What the card of CRATE-MAE states exactly; of its blocks: tests/nn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.masks import tokens as masking
from jmim.methods.mim import crate_mae
from jmim.methods.mim import mae
from jmim.methods.parts import white_box
from jmim.metrics import representation
from jmim.nn import patch as patching
from jmim.nn import sizes

KEY, B = jax.random.key(0), 3
TINY = crate_mae.CrateMAE.tiny()
PLAIN = dataclasses.replace(TINY, blocks=white_box.Plain())
_forward = jax.jit(TINY.forward)


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": normal(B, 16, 16, 3)}


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(KEY, batch)


@pytest.fixture(scope="module")
def params(fill, batch):
  return fill(TINY, batch, seed=2, scale=0.2)[0]


def counts(method):
  """Parameters of encoder and decoder."""
  image = jnp.zeros((1, method.size, method.size, 3))
  params, _ = jax.eval_shape(method.init, KEY, {"image": image})
  return {
    player: sum(x.size for x in jax.tree.leaves(tree))
    for player, tree in params["main"].items()
  }


@pytest.mark.parametrize(
  ("variant", "depth", "total", "encoder"),
  [
    ("Ti/16", 12, 11.3, 5.6),
    ("S/16", 12, 24.8, 12.4),
    ("B/16", 12, 43.7, 21.9),
    ("L/16", 24, 152.8, 76.4),
  ],
)
def test_published_sizes_have_the_published_parameters(
  variant, depth, total, encoder
):
  method = crate_mae.CrateMAE(
    dims=sizes.Dims(variant=variant),
    decoder_dims=sizes.Blocks(width=0, depth=depth, heads=0),
  )
  assert method.layers.depth == depth
  found = {k: n / 1e6 for k, n in counts(method).items()}
  assert abs(sum(found.values()) - total) < 0.06
  assert abs(found["encoder"] - encoder) < 0.06


def test_layers_have_a_quarter_of_the_weights_of_those_of_a_vit():
  """3 w^2 + O(w) a layer against 12 w^2, in encoder and decoder."""
  w = TINY.layers.width

  def per_layer(method, player):
    deeper = dataclasses.replace(
      method,
      dims=dataclasses.replace(method.dims, depth=3),
      decoder_dims=sizes.Blocks(width=0, depth=2, heads=0),
    )
    return counts(deeper)[player] - counts(method)[player]

  for player in ("encoder", "decoder"):
    # Two norms, and the bias of the projection.
    assert per_layer(TINY, player) == 3 * w**2 + 5 * w
    assert per_layer(PLAIN, player) == 12 * w**2 + 13 * w


def test_draws_mask_and_loss_are_those_of_mae(params, batch, draws):
  same = mae.MAE.tiny().drawn(KEY, batch)
  np.testing.assert_array_equal(draws["noise"], same["noise"])
  out = _forward(params, batch, draws)
  error = np.asarray(out["pred"] - TINY.target(batch["image"]), np.float64)
  mask = np.asarray(out["mask"].mask)
  assert mask.sum() == B * 12
  expected = ((error**2).mean(-1) * mask).sum() / mask.sum()
  weights = methods.Weights(params)
  loss, _ = jax.jit(lambda w: TINY.loss(w, batch, draws, 0))(weights)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("method", [TINY, PLAIN], ids=["crate", "vit"])
def test_the_mask_token_stands_in_line_with_the_patches(
  fill, batch, draws, method
):
  """As the card has it: kept embeddings scattered, then cls and the table."""
  params = fill(method, batch, seed=2, scale=0.2)[0]
  out = jax.jit(method.forward)(params, batch, draws)
  assert out["latent"].shape == (B, 1 + 16, 32)
  p = params["main"]["encoder"]
  kernel = p["patch_embed"]["proj"]
  x = patching.patchify(batch["image"], 4) @ kernel["kernel"] + kernel["bias"]
  mask = out["mask"]
  kept = masking.take(x, mask.keep)
  restored = masking.restore(kept, p["mask_token"], mask)
  whole = jax.jit(method.encode)(methods.Weights(params), batch)["embedded"]
  table = whole[:, 1:] - x
  np.testing.assert_allclose(
    out["embedded"][:, 1:], restored + table, atol=1e-5
  )


def test_hidden_pixels_do_not_reach_the_prediction(params, batch, draws):
  out = _forward(params, batch, draws)
  pixels = np.asarray(patching.pixels(out["mask"].mask, 4))
  for where, moves in ((pixels, False), (1 - pixels, True)):
    other = {"image": batch["image"] + 3 * where}
    change = np.abs(_forward(params, other, draws)["pred"] - out["pred"]).max()
    assert change > 1e-3 if moves else change == 0


def test_measures_are_those_of_the_layers_of_whole_images(params, batch):
  weights, predict = methods.Weights(params), TINY.predict()
  taps = ("k", "block")
  out = jax.jit(lambda w: TINY.encode(w, batch, taps))(weights)
  rate = jax.jit(predict["rate"])(weights, batch, KEY)
  nonzero = jax.jit(predict["nonzero"])(weights, batch, KEY)
  assert list(rate) == list(nonzero) == ["block_01", "block_02"]
  for i, name in enumerate(rate):
    np.testing.assert_allclose(
      rate[name], representation.coding_rate(np.asarray(out["k"][i])), rtol=1e-4
    )
    share = (np.asarray(out["block"][i]) != 0).mean((1, 2))
    np.testing.assert_allclose(nonzero[name], share, rtol=1e-6)
    assert (0 < share).all() and (share < 1).all()


def test_the_baseline_offers_what_mae_does():
  own = {"rate", "nonzero"}
  assert set(PLAIN.predict()) == set(mae.MAE.tiny().predict())
  assert set(TINY.predict()) == set(PLAIN.predict()) | own


def test_tokens_are_decayed_besides_kernels(params):
  (group,) = TINY.groups()
  decayed = [n for n in trees.named(params) if trees.matches(group.pattern, n)]
  assert decayed == ["main/encoder/cls_token", "main/encoder/mask_token"]
  # U, D and W are kernels, which are decayed by that name.
  square = {
    n.rpartition("/")[2]
    for n, x in trees.named(params).items()
    if x.shape[1:] == (32, 32)
  }
  assert square == {"kernel"}


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"size": 18}, "side 18 does not divide by patch 4"),
    ({"dims": sizes.Dims(variant="H/4")}, "size of Ti, S, B, L"),
    ({"dims": sizes.Dims(variant="Ti/4", mlp_ratio=2.0)}, "no MLP"),
    (
      {"decoder_dims": sizes.Blocks(width=64, depth=1, heads=0)},
      "decoder_width 64.*width is 32 too",
    ),
    (
      {"decoder_dims": sizes.Blocks(width=0, depth=1, heads=5)},
      "does not divide by 5 decoder_heads",
    ),
  ],
)
def test_what_does_not_fit_is_refused(change, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(TINY, **change).inputs()
