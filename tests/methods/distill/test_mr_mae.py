"""What the card of MR-MAE states exactly, of both backbones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.masks import tokens as masking
from jmim.methods.distill import mr_mae
from jmim.methods.mim import mae
from jmim.methods.parts import mcmae_dims
from jmim.methods.parts import mimicry
from jmim.methods.parts import teacher
from jmim.nn import norm
from jmim.nn import sizes

MCMAE = mr_mae.MRMAE.tiny()
VIT = dataclasses.replace(
  MCMAE,
  dims=mae.MAE.tiny().dims,
  visible="random",
  mimicry=mimicry.Mimicry(),
)
KEY, NONE = jax.random.key(0), teacher.Teacher(family="none")


def made(m):
  """(method, weights, batch, draws)."""
  image = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
  batch = {"image": image.astype(np.float32)}
  params, _ = jax.jit(m.init)(KEY, batch)
  consts = {n: jax.jit(c.init)(KEY) for n, c in m.consts().items()}
  # Fresh teachers of one size would be equal.
  consts = {
    n: jax.tree.map(lambda x, i=i: x + 0.02 * i, t)
    for i, (n, t) in enumerate(consts.items())
  }
  weights = methods.Weights(params, {}, consts)
  return m, weights, batch, m.drawn(KEY, batch)


@pytest.fixture(scope="module", params=[MCMAE, VIT], ids=["mcmae", "vit"])
def case(request):
  return made(request.param)


@pytest.fixture(scope="module")
def out(case):
  m, *rest = case
  return jax.jit(m.losses)(*rest)


def plain(m, weights):
  """The method without teachers, and its weights."""
  off = dataclasses.replace(m, teacher=NONE, second=NONE, visible="random")
  main = weights.params["main"]
  params = {"main": {k: main[k] for k in ("encoder", "decoder")}}
  return off, methods.Weights(params)


def value_and_grad(m, weights, batch, draws):
  loss = lambda p: m.loss(
    methods.Weights(p, {}, weights.consts), batch, draws, 0
  )[0]
  return jax.jit(jax.value_and_grad(loss))(weights.params)


def test_the_loss_is_the_sum_of_its_parts(case, out):
  m, *rest = case
  heavy = dataclasses.replace(m, weight=3.0)
  loss, aux = jax.jit(lambda w, b, d: heavy.loss(w, b, d, 0))(*rest)
  mimic = aux["mimic_teacher"] + aux["mimic_second"]
  np.testing.assert_allclose(loss, aux["recon"] + 3 * mimic, rtol=1e-5)
  np.testing.assert_allclose(aux["recon"], out["recon"], rtol=1e-5)
  assert aux["mimic_teacher"] != aux["mimic_second"]


def test_targets_are_the_teachers_tokens_of_the_visible_patches(case, out):
  m, weights, batch, _ = case
  keep, first = out["mask"].keep, m.encoder.prefix
  assert keep.shape == (2, 4)
  blocks = out["block"][:, :, first:] if m.mimicry.taps else None
  f = m.mimicry.features(
    weights.params["main"], out["latent"][:, first:], blocks
  )
  assert f.shape == (2, 4, 32)
  for name, net in m.guides.items():
    layer = {"teacher": -1, "second": 0}[name]
    tokens = net.read(weights.consts[name], batch["image"], layer=layer)
    t = norm.whiten(masking.take(tokens["patches"], keep))
    head = weights.params["main"]["heads"][name]["out"]
    error = f @ head["kernel"] + head["bias"] - t
    np.testing.assert_allclose(out["mimic"][name], (error**2).mean(), rtol=1e-4)


def test_without_a_teacher_or_with_weight_0_it_is_the_plain_autoencoder(case):
  """Bit for bit MAE on a ViT; heads get no gradient at weight 0."""
  m, weights, batch, draws = case
  m = dataclasses.replace(m, visible="random")
  off, bare = plain(m, weights)
  a, grads = value_and_grad(off, bare, batch, draws)
  light = dataclasses.replace(m, weight=0.0)
  b, weighted = value_and_grad(light, weights, batch, draws)
  np.testing.assert_array_equal(a, b)
  for part in ("encoder", "decoder"):
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
      grads["main"][part],
      weighted["main"][part],
    )
  assert not any(map(np.any, jax.tree.leaves(weighted["main"]["heads"])))
  if isinstance(m.dims, sizes.Dims):
    fields = [f.name for f in dataclasses.fields(mae.MAE)]
    host = mae.MAE(**{name: getattr(off, name) for name in fields})
    c, of_host = value_and_grad(host, bare, batch, draws)
    np.testing.assert_array_equal(a, c)
    jax.tree.map(np.testing.assert_array_equal, grads, of_host)
  fresh = jax.eval_shape(off.init, KEY, batch)[0]["main"]
  assert fresh.keys() == {"encoder", "decoder"} and off.consts() == {}


def test_mimicking_has_no_gradient_in_decoder_mask_token_and_teachers(case):
  m, weights, batch, draws = case

  def mimic(w):
    return sum(m.losses(w, batch, draws)["mimic"].values())

  grads = jax.jit(jax.grad(mimic))(weights)
  main = grads.params["main"]
  assert not any(map(np.any, jax.tree.leaves((main["decoder"], grads.consts))))
  assert np.any(main["heads"]["second"]["out"]["kernel"])
  assert np.any(jax.tree.leaves(main["encoder"])[0])


def test_reconstruction_does_not_depend_on_the_teacher(case):
  m, weights, batch, draws = case
  m = dataclasses.replace(m, visible="random")
  run = jax.jit(lambda w: m.losses(w, batch, draws))
  other = jax.tree.map(lambda x: 1.5 * x + 0.1, weights.consts)
  a, b = run(weights), run(dataclasses.replace(weights, consts=other))
  np.testing.assert_array_equal(a["recon"], b["recon"])
  assert a["mimic"]["second"] != b["mimic"]["second"]


def test_hidden_pixels_reach_teachers_only(case, out):
  """With the mask drawn from the same importance: it is given here."""
  m, weights, batch, draws = case
  m = dataclasses.replace(m, visible="random")
  run = jax.jit(lambda b: m.losses(weights, b, draws))
  first = run(batch)
  hidden = np.asarray(first["mask"].mask).reshape(2, 4, 4)
  hidden = np.kron(hidden, np.ones((4, 4)))[..., None].astype(np.float32)
  other = run({"image": batch["image"] + 50 * hidden})
  for name in ("latent", "embedded"):
    np.testing.assert_array_equal(first[name], other[name])
  assert first["mimic"]["teacher"] != other["mimic"]["teacher"]


def test_permuted_ids_permute_latents(case):
  m, weights, batch, draws = case
  m = dataclasses.replace(m, visible="random")
  mask = m.mask(draws)
  swapped = mask.keep[:, ::-1]
  run = jax.jit(
    lambda keep: m.encoder.apply(
      {"params": weights.params["main"]["encoder"]}, batch["image"], keep
    )["latent"][:, m.encoder.prefix :]
  )
  np.testing.assert_allclose(run(mask.keep), run(swapped)[:, ::-1], atol=1e-5)


def test_attention_of_the_first_teacher_guides_what_is_visible():
  """Patches are a race of exponentials: the first by its importance."""
  n = 20_000
  p = np.array([0.1, 0.3, 0.05, 0.2], np.float32)
  noise = jax.random.uniform(KEY, (n, 4))
  taught = {"teacher": {"importance": jnp.tile(p, (n, 1))}}
  guided = MCMAE.guided({"noise": noise}, taught)
  half = dataclasses.replace(MCMAE, mask_ratio=0.5)
  keep = np.asarray(half.mask(guided).keep)
  share = p / p.sum()
  first = np.bincount(keep[:, 0], minlength=4) / n
  assert (np.abs(first - share) < 3 * np.sqrt(share * (1 - share) / n)).all()
  assert VIT.guided({"noise": noise}, taught)["noise"] is noise


def test_pictures_have_masks_as_in_training():
  m, weights, batch, _ = made(MCMAE)
  shown = jax.jit(m.reconstruct)(weights, batch, KEY)
  out = jax.jit(m.losses)(weights, batch, m.drawn(KEY, batch))
  mask = np.asarray(out["mask"].mask).reshape(2, 4, 4)
  np.testing.assert_array_equal(shown["mask"][:, ::4, ::4, 0], mask)


@pytest.mark.parametrize("m", [MCMAE, VIT], ids=["mcmae", "vit"])
def test_what_evaluators_see_has_a_class_token_only_where_there_is_one(m):
  offered = m.predict()
  assert ("cls" in offered) == (m is VIT)
  _, weights, batch, _ = made(m)
  tokens = jax.eval_shape(offered["tokens"], weights, batch, KEY)
  assert tokens.shape == (2, 4, 4, 32)


@pytest.mark.parametrize(
  "change, word",
  [
    ({"teacher": teacher.Teacher(layer=40)}, "teacher.layer: 40 of 12"),
    ({"second": teacher.Teacher(project=4)}, "second.norm"),
    ({"channels": 1}, "channels 1"),
    ({"mimicry": mimicry.Mimicry(fuse_layers=(7,))}, "fuse_layers: 7 of 2"),
    ({"dims": mcmae_dims.MCMAEDims(widths=(8,))}, "widths"),
    ({"teacher": NONE, "second": NONE}, "visible 'attention'"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(MCMAE, **change).inputs()
