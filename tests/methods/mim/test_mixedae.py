"""What the card of MixedAE states exactly, of the method."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import runtime
from jmim.masks import groups
from jmim.methods.mim import mae
from jmim.methods.mim import mixedae
from jmim.nn import losses

TINY = mixedae.MixedAE.tiny()
N, KEY = 16, jax.random.key(0)


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": normal(4, 16, 16, 3)}


def prepared(method, batch):
  """Weights whose embeddings are not small, and draws."""
  params, _ = jax.jit(method.init)(jax.random.key(1), batch)
  if "segment" in params["main"]:
    params["main"]["segment"] = params["main"]["segment"] * 50
  return methods.Weights(params), method.drawn(KEY, batch)


def loss_of(method, weights, batch, draws):
  return jax.jit(method.loss)(weights, batch, draws, 0)


@pytest.fixture(scope="module")
def four(batch):
  """(method, weights, draws, outputs) of one group of four."""
  method = dataclasses.replace(TINY, group=4)
  weights, draws = prepared(method, batch)
  run = jax.jit(lambda w, d: method.forward(w.params, batch, d, ("attention",)))
  return method, weights, draws, run(weights, draws)


def test_kept_sets_of_a_group_partition_the_positions(four):
  _, _, draws, out = four
  visible = 1 - np.asarray(out["mask"].mask)
  np.testing.assert_array_equal(visible.sum(0), 1)
  np.testing.assert_array_equal(visible.sum(1), N / 4)
  np.testing.assert_array_equal(out["assign"], draws["assign"][:1])
  assert out["mask"].keep.shape == (4, N // 4)  # what the decoder is given


def test_the_encoder_sees_each_patch_of_its_source_and_which_it_is(four, batch):
  method, weights, _, out = four
  main, assign = weights.params["main"], np.asarray(out["assign"][0])
  embed = {"params": main["encoder"]}
  tokens = method.encoder.apply(embed, batch["image"], method="embed")
  wanted = tokens[assign, np.arange(N)] + main["segment"][assign]
  np.testing.assert_allclose(out["tokens"][0], wanted, atol=1e-5)


def test_patches_attend_to_the_strongest_and_cls_is_free(four):
  attention = np.asarray(four[3]["attention"])
  np.testing.assert_allclose(attention.sum(-1), 1, rtol=1e-5)
  assert (attention[..., 0, :] > 0).all() and (attention[..., 0] > 0).all()
  count = np.count_nonzero(attention[..., 1:, 1:], axis=-1)
  np.testing.assert_array_equal(count, N // 4)


def test_nothing_of_other_images_is_in_what_the_decoder_reads(four, batch):
  """The target never has own positions; the decoder has own tokens only."""
  method, weights, draws, out = four
  loss = lambda pred: method.reconstruction_loss({**out, "pred": pred}, batch)
  gradient = np.asarray(jax.grad(loss)(out["pred"]))
  hidden = np.asarray(out["mask"].mask, bool)
  assert (gradient[~hidden] == 0).all()
  assert (np.abs(gradient[hidden]).max(-1) > 0).all()
  decoder = {"params": weights.params["main"]["decoder"]}
  for i in range(4):
    latent = out["latent"][0, 1:] * (1 - out["mask"].mask[i])[:, None]
    keep = out["mask"].keep[i]
    given = jnp.concatenate([out["latent"][0, :1], latent[keep]])
    one = jax.tree.map(lambda a, i=i: a[i : i + 1], out["mask"])
    pred = method.decoder.apply(decoder, given[None], one)
    np.testing.assert_allclose(pred[0], out["pred"][i], atol=1e-5)


def test_the_loss_has_both_parts(four, batch):
  method, weights, draws, out = four
  loss, aux = loss_of(method, weights, batch, draws)
  homo = losses.supervised_contrastive(
    out["latent"][:, 1:], out["assign"], 0.25
  )
  error = (out["pred"] - method.target(batch["image"])) ** 2
  hidden = out["mask"].mask
  recon = (error.mean(-1) * hidden).sum(1) / (N * 3 / 4)
  np.testing.assert_allclose(aux["homo"], homo.mean(), rtol=1e-5)
  np.testing.assert_allclose(aux["recon"], recon.mean(), rtol=1e-5)
  np.testing.assert_allclose(loss, aux["recon"] + 0.1 * aux["homo"], rtol=1e-6)


def test_all_switched_off_is_naive_mixing_bit_for_bit(batch):
  off = {"lambda_homo": 0.0, "topk_ratio": 1.0, "segment_embed": False}
  two = [
    dataclasses.replace(TINY, **off),
    dataclasses.replace(TINY, mix_mode="naive"),
  ]
  found = []
  for method in two:
    weights, draws = prepared(method, batch)
    assert "segment" not in weights.params["main"]
    loss = lambda p, m=method, d=draws: m.loss(methods.Weights(p), batch, d, 0)[
      0
    ]
    found.append(jax.jit(jax.value_and_grad(loss))(weights.params))
  jax.tree.map(np.testing.assert_array_equal, *found)
  programs = [
    str(
      jax.make_jaxpr(
        lambda b, m=m: m.forward(weights.params, b, draws)["pred"]
      )(batch)
    )
    for m in two
  ]
  assert "top_k" not in programs[0] and programs[0] == programs[1]


def test_one_source_alone_and_all_keys_are_a_plain_encoder(batch):
  """As a group of one image would be: k = n is plain attention."""
  method = dataclasses.replace(TINY, topk_ratio=1.0, segment_embed=False)
  weights, draws = prepared(method, batch)
  draws = {"assign": jnp.zeros_like(draws["assign"])}
  out = jax.jit(method.forward)(weights.params, batch, draws)
  plain = jax.jit(method.encode)(weights, batch)
  np.testing.assert_allclose(
    out["latent"], plain["latent"][:: method.group], atol=1e-5
  )


def test_only_the_blocks_chosen_attend_to_few(batch):
  for layers, counts in (((1,), [N, 8]), ((0,), [8, N]), ((), [8, 8])):
    method = dataclasses.replace(TINY, homo_layers=layers)
    weights, draws = prepared(method, batch)
    run = functools.partial(method.forward, taps=("attention",))
    maps = jax.jit(run)(weights.params, batch, draws)
    seen = np.count_nonzero(maps["attention"][..., 1:, 1:], axis=-1)
    np.testing.assert_array_equal(seen.max((1, 2, 3)), counts)


@pytest.mark.parametrize("b", [1, 3, 5])
def test_a_batch_that_the_group_does_not_divide_works(normal, b):
  batch = {"image": normal(b, 16, 16, 3)}
  method = dataclasses.replace(TINY, group=4)
  weights, draws = prepared(method, batch)
  loss, _ = loss_of(method, weights, batch, draws)
  assert np.isfinite(loss)
  found = jax.jit(method.predict()["homologous"])(weights, batch, KEY)
  assert {x.shape for x in found.values()} == {(b,)}
  picture = jax.jit(method.reconstruct)(weights, batch, KEY)
  assert picture["image"].shape == (b, 16, 16, 3)
  np.testing.assert_allclose(picture["mask"].mean((1, 2, 3)), 0.75)


def test_positions_that_the_group_does_not_divide_are_hidden_exactly(normal):
  """16 positions of 3 images: 6, 5 and 5, and no token more."""
  batch = {"image": normal(3, 16, 16, 3)}
  method = dataclasses.replace(TINY, group=3)
  weights, draws = prepared(method, batch)
  mask = method.mask(draws)
  assert sorted(np.asarray(1 - mask.mask).sum(1)) == [5, 5, 6]
  short = int(np.argmax(np.asarray(mask.mask).sum(1)))

  def pred(images):
    return method.forward(weights.params, {"image": images}, draws)["pred"]

  assert np.isfinite(pred(batch["image"])).all()
  decoder = {"params": weights.params["main"]["decoder"]}
  latent = normal(3, 1 + 6, 32)
  other = latent.copy()
  other[short, 6] += 5  # no token of its own
  valid = groups.valid(mask, 3)
  found, wanted = (
    method.decoder.apply(decoder, x, mask, valid) for x in (latent, other)
  )
  np.testing.assert_array_equal(found, wanted)


def test_patches_that_know_their_source_find_each_other(batch):
  """And share of attention: what chance gives where all is alike."""
  method = dataclasses.replace(TINY, group=4, topk_ratio=1.0)
  weights, _ = prepared(method, batch)
  weights.params["main"]["segment"] *= 1000
  homologous = jax.jit(method.predict()["homologous"])
  found = homologous(weights, batch, KEY)
  np.testing.assert_array_equal(found["nearest"], 1)
  assert set(found) == {"nearest", "block_01", "block_02"}
  layers = weights.params["main"]["encoder"]["blocks"]["layers"]
  layers["attn"]["qkv"] = jax.tree.map(jnp.zeros_like, layers["attn"]["qkv"])
  found = homologous(weights, batch, KEY)
  np.testing.assert_allclose(found["block_01"], 1 / 4, rtol=1e-5)


def test_evaluation_is_that_of_a_plain_vit(four, batch):
  method, weights, _, _ = four
  plain = mae.MAE.tiny()
  for name in ("features", "cls"):
    found, wanted = (
      m.predict()[name](weights, batch, KEY) for m in (method, plain)
    )
    np.testing.assert_array_equal(found, wanted)


def test_scanned_blocks_and_another_attention_compute_the_same(four, batch):
  method, weights, draws, out = four
  rt = runtime.Runtime(scan=True, remat="full", attention="xla")
  other = dataclasses.replace(method, rt=rt, homo_layers=(0, 1))
  found = jax.jit(other.forward)(weights.params, batch, draws)
  np.testing.assert_allclose(found["pred"], out["pred"], atol=2e-5)


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"group": 17}, "group 17 for 16 patches"),
    ({"topk_ratio": 0.01}, "topk_ratio 0.01 keeps no patch"),
    ({"homo_layers": (0, 2)}, r"homo_layers: \[2\] of 2 blocks"),
  ],
)
def test_what_cannot_be_is_refused(changes, words):
  with pytest.raises(ValueError, match=words):
    dataclasses.replace(TINY, **changes).inputs()
