"""The invariants of MMAR: masks, forms, losses, samples."""

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.latent import mmar
from jmim.nn import patch

TINY = mmar.MMAR.tiny()
B = 6


def weights_of(m, seed=0):
  rng = np.random.default_rng(seed)
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  fill = lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype)
  make = lambda init: jax.tree.map(
    fill, jax.eval_shape(init, jax.random.key(0))
  )
  consts = {n: make(c.init) for n, c in m.consts().items()}
  return methods.Weights(jax.tree.map(fill, shapes), {}, consts)


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": normal(B, 12, 12, 3), "label": np.arange(B) % 3}


@pytest.fixture(scope="module")
def draws(batch):
  """Two examples of each form, by turns."""
  made = TINY.drawn(jax.random.key(0), batch)
  form = np.float32([0.9, 0.9, 0.1] * 2)
  drop = np.float32([0.5, 0.01, 0.5] * 2)
  return made | {"form": form, "text_drop": drop}


@pytest.fixture(scope="module")
def run():
  """(weights, batch, draws) -> image and text losses of the examples [b]."""

  def each(weights, batch, draws):
    x, texts = TINY.tokens(weights, batch, draws), TINY.text.texts(batch)
    forms = TINY.sequence.forms(draws)
    text, z = TINY.joint(weights).whole(texts, x, forms, TINY.sequence)
    head = weights.params["main"]["head"]
    errors = TINY.head.errors(head, TINY.noise, z, x, draws=draws)
    loss, aux = TINY.loss(weights, batch, draws, 0)
    return dict(mse=errors["mse"], text=text, z=z, loss=loss, aux=aux)

  return jax.jit(each)


@pytest.fixture(scope="module")
def weights():
  return weights_of(TINY)


def test_the_loss_is_the_mean_of_what_is_learned_of_each(
  run, weights, batch, draws
):
  out = jax.tree.map(np.asarray, run(weights, batch, draws))
  mask = np.asarray(TINY.sequence.forms(draws).mask)[:, None]
  mask = np.broadcast_to(mask, out["mse"].shape)
  describes = np.array([0, 0, 1] * 2) > 0
  assert (mask.sum((1, 2))[describes] == 0).all()
  each = [
    text if tells else mse[own].mean()
    for tells, text, mse, own in zip(
      describes, out["text"], out["mse"], mask, strict=True
    )
  ]
  np.testing.assert_allclose(out["loss"], np.mean(each), rtol=1e-5)
  of = lambda rows: np.array(each)[rows].mean()
  np.testing.assert_allclose(out["aux"]["loss_text"], of(describes), rtol=1e-5)
  np.testing.assert_allclose(
    out["aux"]["loss_image"], of(~describes), rtol=1e-5
  )


def test_the_loss_of_a_head_that_says_nothing_is_that_of_v(
  run, weights, batch, draws
):
  own = weights.params["main"]
  mute = {
    **own["head"],
    "pred": jax.tree.map(np.zeros_like, own["head"]["pred"]),
  }
  mute = methods.Weights({"main": {**own, "head": mute}})
  aux = run(mute, batch, draws)["aux"]
  t, eps = draws["t"], np.asarray(draws["noise"])
  power = np.asarray(TINY.noise.process.power)[t][..., None]
  x = np.asarray(TINY.tokens(None, batch, draws))[:, None]
  v = np.sqrt(power) * eps - np.sqrt(1 - power) * x
  mask = np.asarray(TINY.sequence.forms(draws).mask)
  each = [(v[i] ** 2).mean(-1)[:, mask[i]].mean() for i in (0, 1, 3, 4)]
  np.testing.assert_allclose(aux["loss_image"], np.mean(each), rtol=1e-4)


def test_what_is_masked_is_not_seen(run, weights, batch, draws):
  """Not in z of any token, and so in the losses of visible ones neither."""
  mask = np.asarray(TINY.sequence.forms(draws).mask)[..., None]
  x = np.asarray(TINY.tokens(weights, batch, draws))
  change = lambda where: {
    **batch,
    "image": patch.unpatchify(x + 5 * where, TINY.patch),
  }
  a = run(weights, batch, draws)["z"]
  np.testing.assert_array_equal(run(weights, change(mask), draws)["z"], a)
  b = np.asarray(run(weights, change(1 - mask), draws)["z"])
  assert np.abs(a - b)[:2].max(-1).min() > 1e-5


def test_with_all_masked_an_image_is_not_looked_at(run, weights, batch, draws):
  all_masked = draws | {"rate": np.ones(B, np.float32)}
  other = {**batch, "image": batch["image"][::-1]}
  a, b = (run(weights, x, all_masked)["z"] for x in (batch, other))
  learned = np.array([0, 1, 3, 4])
  np.testing.assert_array_equal(a[learned], b[learned])
  assert np.abs(a - b)[[2, 5]].max() > 1e-3


def test_every_token_of_a_block_sees_every_other(run, weights, batch, draws):
  """Of an image that is whole, the last token changes all vectors."""
  image = batch["image"].copy()
  image[:, -1, -1] += 3
  a, b = (
    run(weights, {**batch, "image": i}, draws) for i in (batch["image"], image)
  )
  moved = np.abs(np.asarray(a["z"]) - b["z"])[[2, 5]].max(-1)
  assert moved.min() > 1e-5
  assert np.abs(a["text"] - b["text"])[[2, 5]].min() > 1e-6


def test_an_image_knows_its_text_unless_it_is_dropped(
  run, weights, batch, draws
):
  other = {**batch, "label": (batch["label"] + 1) % 3}
  a, b = (np.asarray(run(weights, x, draws)["z"]) for x in (batch, other))
  moved = np.abs(a - b).max((1, 2))
  assert (moved[[0, 3]] > 1e-3).all()
  assert (moved[[1, 4, 2, 5]] == 0).all()


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_samples_depend_on_their_number_and_text_alone(weights, guidance):
  m = field.replace(TINY, sampling=dict(guidance=guidance))
  made, key = jax.jit(m.generate), jax.random.key(3)
  index, label = np.array([5, 2, 9]), np.array([0, 1, 2])
  whole = made(weights, {"index": index, "label": label}, key)
  back = made(weights, {"index": index[::-1], "label": label[::-1]}, key)
  np.testing.assert_allclose(
    back["tokens"][::-1], whole["tokens"], rtol=1e-3, atol=1e-3
  )
  assert set(np.unique(whole["order"])) == {0, 1, 2}
  other = made(weights, {"index": index, "label": label[::-1]}, key)
  moved = np.abs(whole["tokens"] - other["tokens"]).max((1, 2))
  assert (moved[[0, 2]] > 1e-3).all() and moved[1] < 1e-3


def test_sample_makes_images_or_their_text(weights, batch):
  asked = {"label": np.arange(3), "index": np.arange(3)}
  key = jax.random.key(0)
  images = jax.jit(TINY.sample)(weights, asked, key)
  assert images.shape == (3, 12, 12, 3)
  m = field.replace(TINY, text=dict(sampled=True))
  words = jax.jit(m.sample)(weights, asked, key)
  want = jax.jit(TINY.describe)(weights, {**asked, "image": images}, key)
  np.testing.assert_array_equal(words, want)
  assert words.dtype == np.int32 and words.shape == (3, 3)


def test_with_lora_the_model_gets_no_gradient(run, batch, draws):
  m = field.replace(TINY, network=dict(lm=dict(lora=dict(rank=2))))
  weights = weights_of(m)
  assert set(m.consts()) == {"host"}
  own = weights.params["main"]["lm"]
  of = lambda own: m.loss(
    methods.Weights(
      {"main": {**weights.params["main"], "lm": own}}, {}, weights.consts
    ),
    batch,
    draws,
    0,
  )[0]
  loss, grads = jax.jit(jax.value_and_grad(of))(own)
  assert min(np.abs(g).max() for g in jax.tree.leaves(grads)) > 1e-7
  tree = m.network.lm.folded(weights)
  whole = {"main": {**weights.params["main"], "lm": tree}}
  same = run(methods.Weights(whole), batch, draws)["loss"]
  np.testing.assert_allclose(loss, same, rtol=1e-4)


@pytest.mark.parametrize("kind", ["eps", "x0", "edm"])
def test_other_predictions_train_and_sample(weights, batch, draws, kind):
  m = field.replace(TINY, head=dict(prediction=dict(kind=kind)))
  m = field.replace(m, sampling=dict(sampler="ddim"))
  losses = [jax.jit(x.loss)(weights, batch, draws, 0)[1] for x in (m, TINY)]
  text = [aux["loss_text"] for aux in losses]
  np.testing.assert_allclose(*text, rtol=1e-5)
  assert abs(losses[0]["loss_image"] - losses[1]["loss_image"]) > 1e-3
  made = jax.jit(m.generate)(
    weights, {"label": np.arange(2)}, jax.random.key(0)
  )
  assert np.isfinite(made["tokens"]).all()


def test_tokens_are_read_where_no_label_gives_them(batch, draws):
  text = dict(of=(), length=4, words=9, begin=1, end=2, pad=0)
  m = field.replace(TINY, text=text)
  assert set(m.inputs()) == {"image", "tokens"}
  assert m.sample_reads() == ("tokens",)
  tokens = np.array([[3, 4, 0, 0]] * B)
  seen = {"image": batch["image"], "tokens": tokens}
  weights = weights_of(m)
  run = jax.jit(m.loss)
  loss, _ = run(weights, seen, draws, 0)
  padded = {**seen, "tokens": np.array([[3, 4, 0, 5]] * B)}
  assert run(weights, padded, draws, 0)[0] == loss
  other = {**seen, "tokens": np.array([[3, 5, 0, 0]] * B)}
  assert run(weights, other, draws, 0)[0] != loss
  asked = field.replace(m, text=dict(prompt=(3, 4)))
  assert asked.sample_reads() == ()


def test_a_key_of_the_head_leaves_v_alone():
  section = {"head": {"prediction": {"data_std": 1.0}}}
  head = validate.build(mmar.MMAR, section, "method").head
  assert (head.prediction.kind, head.depth) == ("v", 8)
  assert head.prediction.data_std == 1.0


def test_mistakes():
  with pytest.raises(ValueError, match="size 12 does not divide by 5"):
    field.replace(TINY, patch=5).inputs()
  with pytest.raises(ValueError, match="sampling.steps 37"):
    field.replace(TINY, sampling=dict(steps=37)).inputs()
  guided = field.replace(TINY, sampling=dict(guidance=2.0))
  with pytest.raises(ValueError, match="guidance=2.0 with sequence.drop=0"):
    field.replace(guided, sequence=dict(drop=0.0)).inputs()
