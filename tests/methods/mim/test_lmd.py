"""What the card of LMD states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.mim import lmd
from jmim.methods.mim import mae
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn.nets import autoencoder

B, N = 3, 16
TINY = lmd.LMD.tiny()
# On given latents, and as MAE is.
GIVEN = field.replace(TINY, first_stage={"variant": "none"})
MAE_LIKE = field.replace(
  GIVEN, channels=3, decoder_sign=1, curriculum={"name": "fixed"}
)
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(B, 16, 16, 4)).astype(np.float32)
DRAWS = {"noise": RNG.random((B, N), np.float32)}


@pytest.fixture(scope="module")
def params(fill):
  return fill(GIVEN, {"image": Z}, seed=2, scale=0.2)[0]


def loss_of(m, params, batch, step=0):
  return m.loss(methods.Weights(params), batch, DRAWS, step)


@pytest.mark.parametrize("ratio", [0.75, 0.4])
def test_a_fixed_ratio_and_the_plus_sign_are_mae_bit_for_bit(fill, ratio):
  """Draws, start, loss and gradient; in the curriculum's program too."""
  batch = {"image": Z[..., :3]}
  ours = dataclasses.replace(MAE_LIKE, mask_ratio=ratio)
  plain = dataclasses.replace(mae.MAE.tiny(), mask_ratio=ratio)
  for a, b in zip(
    jax.tree.leaves(
      (jax.jit(ours.init)(KEY, batch), ours.drawn(KEY, batch, 7))
    ),
    jax.tree.leaves(
      (jax.jit(plain.init)(KEY, batch), plain.drawn(KEY, batch, 7))
    ),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)
  params = fill(plain, batch, seed=2, scale=0.2)[0]
  found, expected = (
    jax.jit(jax.value_and_grad(lambda p, s, m=m: loss_of(m, p, batch, s)[0]))
    for m in (ours, plain)
  )
  for step in (0, 3):
    for a, b in zip(
      jax.tree.leaves(found(params, step)),
      jax.tree.leaves(expected(params, step)),
      strict=True,
    ):
      np.testing.assert_array_equal(a, b)


def test_the_default_is_no_mae(params):
  """The sign alone changes the prediction, and is that of the table."""
  batch = {"image": Z}
  plus, minus = (
    jax.jit(dataclasses.replace(GIVEN, decoder_sign=s).forward)(
      params, batch, DRAWS
    )["pred"]
    for s in (1, -1)
  )
  assert np.abs(np.asarray(plus) - minus).max() > 1e-2
  table = posemb.sincos_2d(16, (4, 4), "xy", prefix=1)
  # A table that is added twice to what is embedded undoes the minus.
  decoder = GIVEN.decoder
  assert (decoder.sign, MAE_LIKE.decoder.sign) == (-1, 1)
  assert decoder.size.width == table.shape[1]


def test_visible_tokens_follow_the_ratio_of_the_step_in_one_trace(params):
  m = field.replace(GIVEN, curriculum={"steps": 30, "budgets": 3})
  batch, traces = {"image": Z}, []

  def loss(params, step):
    traces.append(1)
    return loss_of(m, params, batch, step)

  step = jax.jit(jax.value_and_grad(loss, has_aux=True))
  counts = m.curriculum.counts(N, 0.75)
  assert len(set(counts)) > 6
  for s in (0, 9, 14, 20, 1000):
    (found, aux), grads = step(params, s)
    count = int(counts[min(s, 29)])
    assert int(aux["visible"]) == count
    # As with that many tokens at all steps.
    fixed = field.replace(
      m, mask_ratio=1 - count / N, curriculum={"name": "fixed"}
    )
    exact = jax.jit(
      jax.value_and_grad(lambda p, m=fixed: loss_of(m, p, batch)[0])
    )
    expected, wanted = exact(params)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for a, b in zip(
      jax.tree.leaves(grads), jax.tree.leaves(wanted), strict=True
    ):
      np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max() + 1e-7)
  assert len(traces) == 1


def repaint(z, where):
  patches = np.asarray(patching.patchify(z, 4))
  other = np.random.default_rng(9).normal(size=patches.shape)
  patches = np.where(where[..., None], other.astype(np.float32), patches)
  return {"image": np.asarray(patching.unpatchify(patches, 4))}


def test_hidden_patches_reach_no_prediction_and_visible_targets_no_loss(params):
  """At step 0, where some of what is gathered is not valid."""
  m = field.replace(GIVEN, curriculum={"steps": 30, "budgets": 1})
  z = {"image": Z}
  count = int(m.curriculum.counts(N, 0.75)[12])
  mask, valid = lmd.budgets.split(DRAWS["noise"], count, 13)
  assert count < 13 and not valid.all()
  forward = jax.jit(
    lambda batch: m.forward(params, batch, {"mask": mask}, valid=valid)["pred"]
  )
  pred, hidden = forward(z), np.asarray(mask.mask) == 1
  np.testing.assert_array_equal(forward(repaint(Z, hidden)), pred)
  seen = np.abs(np.asarray(forward(repaint(Z, ~hidden))) - pred)
  assert seen.max(-1).min() > 1e-4
  out = {"pred": pred, "mask": mask}
  loss = m.reconstruction_loss(out, z)
  assert m.reconstruction_loss(out, repaint(Z, ~hidden)) == loss
  assert abs(m.reconstruction_loss(out, repaint(Z, hidden)) - loss) > 1e-2


def test_latents_are_the_mode_not_scaled_of_moments_or_images(fill):
  """Read as images or as stored moments: the same loss, nothing drawn."""
  m = field.replace(
    TINY, size=4, dims={"variant": "Ti/1"}, first_stage={"path": "W"}
  )
  images = dataclasses.replace(
    m, first_stage=dataclasses.replace(m.first_stage, read="images")
  )
  assert images.inputs()["image"].shape == (32, 32, 3)
  assert m.inputs()["moments"].shape == (4, 4, 8)
  net = m.first_stage.net
  stage = jax.tree.map(
    lambda s: 0.2 * np.random.default_rng(3).normal(size=s.shape).astype("f4"),
    jax.eval_shape(net.init, KEY),
  )
  x = RNG.normal(size=(2, 32, 32, 3)).astype(np.float32)
  moments, _ = jax.jit(net.encode)(stage, x)
  mean, _ = autoencoder.posterior(moments)
  weights = methods.Weights({}, {}, {"first_stage": stage})
  stored = m.latents(weights, {"moments": moments})["image"]
  np.testing.assert_array_equal(stored, mean)
  fresh = jax.jit(images.latents)(weights, {"image": x})["image"]
  np.testing.assert_allclose(fresh, mean, atol=1e-5)
  assert set(images.drawn(KEY, {"image": x})) == {"noise"}
  # Weights that came with Stable Diffusion's factor are taken all the same.
  (const,) = m.consts().values()
  assert const.agrees == {}


def test_a_reconstruction_is_decoded_to_pixels(fill):
  """Visible latents as they are, the others predicted, then the decoder."""
  m = field.replace(TINY, size=4, dims={"variant": "Ti/1"})
  assert "reconstruct" not in m.predict() and m.consts() == {}
  m = field.replace(m, first_stage={"path": "W"})
  net = m.first_stage.net
  stage = jax.tree.map(
    lambda s: 0.2 * np.random.default_rng(3).normal(size=s.shape).astype("f4"),
    jax.eval_shape(net.init, KEY),
  )
  batch = {"moments": RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)}
  params = fill(m, batch, seed=2, scale=0.2)[0]
  weights = methods.Weights(params, {}, {"first_stage": stage})
  shown = jax.jit(m.predict()["reconstruct"])(weights, batch, KEY)
  z, hidden = batch["moments"][..., :4], m.mask(m.drawn(KEY, batch)).mask
  where = np.asarray(hidden).reshape(2, 4, 4, 1)
  np.testing.assert_array_equal(
    shown["mask"], np.kron(where, np.ones((1, 8, 8, 1)))
  )
  out = jax.jit(m.forward)(params, {"image": z}, m.drawn(KEY, batch))
  # Patches of one latent: normalised by their 4 channels.
  cells = z.reshape(2, 16, 4)
  mean, std = cells.mean(-1), np.sqrt(cells.var(-1, ddof=1) + 1e-6)
  painted = out["pred"] * std[..., None] + mean[..., None]
  mixed = np.where(where > 0, np.asarray(painted).reshape(z.shape), z)
  wanted = jax.jit(net.decode)(stage, mixed)
  np.testing.assert_allclose(shown["image"], wanted, atol=1e-4)
  assert wanted.shape == (2, 32, 32, 3)


def test_errors_are_those_of_the_end_of_the_curriculum(params):
  weights, batch = methods.Weights(params), {"image": Z}
  found = jax.jit(GIVEN.predict()["errors"])(weights, batch, KEY)["masked"]
  fixed = field.replace(GIVEN, curriculum={"name": "fixed"})
  draws = fixed.drawn(KEY, batch)
  expected, _ = fixed.loss(weights, batch, draws, 0)
  assert found.shape == (B,)
  np.testing.assert_allclose(found.mean(), expected, rtol=1e-5)


def test_features_are_those_of_the_latents(params):
  weights, batch = methods.Weights(params), {"image": Z}
  moments = np.concatenate([Z, np.zeros_like(Z)], -1)
  same = jax.jit(TINY.predict()["features"])(weights, {"moments": moments}, KEY)
  given = jax.jit(GIVEN.predict()["features"])(weights, batch, KEY)
  np.testing.assert_allclose(same, given, atol=1e-5)


@pytest.mark.parametrize(
  "change, message",
  [
    ({"size": 18}, "side 18 does not divide by patch 4"),
    ({"channels": 3}, "channels 3, but latents have 4"),
    ({"mask_ratio": 0.1}, "curriculum.start, mask_ratio"),
    ({"first_stage": {"scale": 0.0}}, "first_stage.scale 0"),
  ],
)
def test_what_does_not_fit_is_refused(change, message):
  with pytest.raises(ValueError, match=message):
    field.replace(TINY, **change).inputs()


def test_published_sizes_are_those_of_the_card():
  """base_patch4: 49 tokens of 28 x 28 latents; base_patch7: 16."""
  for variant, tokens in (("B/4", 49), ("B/7", 16)):
    m = field.replace(lmd.LMD(), dims={"variant": variant})
    m.inputs()
    assert m.grid[0] * m.grid[1] == tokens
    size, decoder = m.encoder.size, m.decoder.size
    assert (size.width, size.depth, size.heads) == (768, 12, 12)
    assert (decoder.width, decoder.depth, decoder.heads) == (512, 8, 16)
  assert jnp.asarray(lmd.LMD().curriculum.counts(49, 0.75))[-1] == 12
