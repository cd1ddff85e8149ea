import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_channels
from jmim.methods.parts import latent_mode
from jmim.nn import liif

KL = stages.FirstStage(variant="kl-f4", width=4, blocks=1, path="W", scale=0.5)
VQ = stages.FirstStage(variant="vq-f4", width=4, blocks=1, codes=8, scale=2.0)
SHAPE = (2, 2, 3)
RNG = np.random.default_rng(0)
MOMENTS = RNG.normal(size=(3, 2, 2, 6)).astype(np.float32)
NOTHING = methods.Weights({})


def draw(stage):
  keys = randomness.Keys(jax.random.key(0))
  return stage.draw(keys, (3, *SHAPE))


def test_latents_of_moments_are_scaled_samples_of_the_posterior():
  draws, batch = draw(KL), {"moments": MOMENTS}
  mean, log_var = np.split(MOMENTS, 2, axis=-1)
  wanted = 0.5 * (mean + np.exp(log_var / 2) * draws["posterior"])
  np.testing.assert_allclose(KL.encode(NOTHING, batch, draws), wanted, 1e-5)
  np.testing.assert_allclose(  # without the draw: as they are
    KL.encode(NOTHING, {"moments": mean}, {}), 0.5 * mean
  )


def test_a_quantised_stage_has_no_posterior_and_reads_what_is_stored():
  assert draw(VQ) == {}
  z = MOMENTS[..., :3]
  np.testing.assert_allclose(VQ.encode(NOTHING, {"moments": z}, {}), 2.0 * z)
  assert VQ.inputs(SHAPE)["moments"].shape == SHAPE
  assert KL.inputs(SHAPE)["moments"].shape == (2, 2, 6)


def test_the_scale_is_measured_once_and_kept():
  stage = dataclasses.replace(VQ, scale=0.0)
  batch = {"moments": MOMENTS[..., :3]}
  fresh = methods.Weights({}, stage.extra())
  settled = stage.settled(fresh, batch, {})
  scale = stage.told(settled)["latent_scale"]
  np.testing.assert_allclose(scale, 1 / batch["moments"].std(), rtol=1e-5)
  z = stage.encode(fresh, batch, {})
  np.testing.assert_allclose(z.std(), 1.0, rtol=1e-5)
  kept = methods.Weights({}, {"scale": jnp.float32(0.25)})
  again = stage.encode(kept, batch, {})
  np.testing.assert_allclose(again, 0.25 * batch["moments"])
  settled = stage.settled(kept, batch, {})
  assert stage.told(settled)["latent_scale"] == 0.25


def test_decoding_undoes_the_scale():
  params = jax.eval_shape(KL.net.init, jax.random.key(0))
  params = jax.tree.map(
    lambda s: 0.1 * RNG.normal(size=s.shape).astype(s.dtype), params
  )
  weights = methods.Weights({}, {}, {"first_stage": params})
  z = MOMENTS[:1, :, :, :3]
  wanted = jax.jit(KL.net.decode)(params, z)
  found = jax.jit(KL.decode)(weights, 0.5 * z)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  assert wanted.shape == (1, 8, 8, 3)


STATISTICS = dataclasses.replace(KL, statistics="S")
KNOWN = {
  "mean": jnp.asarray([1.0, -2.0, 0.5]),
  "std": jnp.asarray([2.0, 0.1, 1.0]),
}


def test_channels_are_normalised_before_the_scale():
  weights = methods.Weights({}, {}, {latent_channels.NAME: KNOWN})
  draws, batch = draw(KL), {"moments": MOMENTS}
  plain = KL.encode(NOTHING, batch, draws) / 0.5
  wanted = 0.5 * (plain - KNOWN["mean"]) / KNOWN["std"]
  found = STATISTICS.encode(weights, batch, draws)
  np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
  # And back: what the decoder reads.
  back = latent_channels.restored(weights, found / 0.5, 0.0)
  np.testing.assert_allclose(back, plain, rtol=1e-5, atol=1e-5)
  mode = latent_mode.latents(STATISTICS, weights, batch)
  mean = np.split(MOMENTS, 2, axis=-1)[0]
  wanted = 0.5 * (mean - KNOWN["mean"]) / KNOWN["std"]
  np.testing.assert_allclose(mode, wanted, rtol=1e-5, atol=1e-6)


def test_the_shift_is_one_of_normalised_channels():
  stage = dataclasses.replace(STATISTICS, shift=0.25)
  weights = methods.Weights({}, {}, {latent_channels.NAME: KNOWN})
  draws, batch = draw(KL), {"moments": MOMENTS}
  plain = KL.encode(NOTHING, batch, draws) / 0.5
  found = stage.encode(weights, batch, draws)
  wanted = 0.5 * ((plain - KNOWN["mean"]) / KNOWN["std"] - 0.25)
  np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
  back = latent_channels.restored(weights, found / 0.5, 0.25)
  np.testing.assert_allclose(back, plain, rtol=1e-5, atol=1e-5)
  mode = latent_mode.latents(stage, weights, batch)
  mean = np.split(MOMENTS, 2, axis=-1)[0]
  wanted = 0.5 * ((mean - KNOWN["mean"]) / KNOWN["std"] - 0.25)
  np.testing.assert_allclose(mode, wanted, rtol=1e-5, atol=1e-6)


def test_samples_are_decoded_from_latents_as_they_were_encoded(fill):
  params = fill(KL.net, scale=0.1)
  consts = {"first_stage": params, latent_channels.NAME: KNOWN}
  z = MOMENTS[:1, :, :, :3]
  found = jax.jit(STATISTICS.decode)(methods.Weights({}, {}, consts), z)
  inner = 2.0 * z * KNOWN["std"] + KNOWN["mean"]
  wanted = jax.jit(KL.net.decode)(params, inner)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_scale_that_is_measured_is_that_of_normalised_latents():
  stage = dataclasses.replace(STATISTICS, scale=0.0)
  consts, batch = {latent_channels.NAME: KNOWN}, {"moments": MOMENTS}
  fresh = methods.Weights({}, stage.extra(), consts)
  settled = stage.settled(fresh, batch, draw(stage))
  z = stage.encode(settled, batch, draw(stage))
  np.testing.assert_allclose(z.std(), 1.0, rtol=1e-5)


def test_statistics_are_read_though_nothing_is_decoded():
  stored = dataclasses.replace(STATISTICS, path="")
  (const,) = stored.consts().values()
  assert const.path == "S" and not const.images
  made = const.init(jax.random.key(0))
  assert {n: x.shape for n, x in made.items()} == {"mean": (3,), "std": (3,)}
  assert set(STATISTICS.consts()) == {"first_stage", latent_channels.NAME}


def test_without_a_first_stage_images_are_what_is_diffused():
  stage, x = stages.FirstStage(), {"image": MOMENTS}
  assert stage.encode(NOTHING, x, {}) is MOMENTS
  assert stage.decode(NOTHING, MOMENTS) is MOMENTS
  assert stage.consts() == stage.extra() == {} and stage.factor == 1


@pytest.mark.parametrize(
  "fields, shape, seen",
  [
    (dict(variant="vq-f4"), SHAPE, "vq needs some"),
    (dict(variant="kl-f4", codes=8), SHAPE, "kl has none"),
    (dict(variant="kl-f4"), (2, 2, 4), "latents have 3"),
    (dict(variant="kl-f4", scale=0.0), SHAPE, "measures none"),
    (dict(variant="fold2", statistics="S"), SHAPE, "images are no latents"),
  ],
)
def test_fields_that_do_not_go_together_are_refused(fields, shape, seen):
  with pytest.raises(ValueError, match=seen):
    stages.FirstStage(**fields).inputs(shape)


def test_folding_is_a_permutation_both_ways():
  fold = stages.FirstStage(variant="fold2")
  images = RNG.normal(size=(2, 8, 8, 3)).astype("f4")
  z = fold.encode(NOTHING, {"image": images}, {})
  assert z.shape == (2, 4, 4, 12) and fold.decodes and not fold.consts()
  np.testing.assert_array_equal(np.sort(z.ravel()), np.sort(images.ravel()))
  np.testing.assert_array_equal(fold.decode(NOTHING, z), images)
  # A square of pixels is what the channels are.
  np.testing.assert_array_equal(
    z[0, 1, 2].reshape(2, 2, 3), images[0, 2:4, 4:6]
  )
  assert fold.inputs((4, 4, 12))["image"].shape == (8, 8, 3)
  assert fold.inputs((4, 4, 4))["image"].shape == (8, 8, 1)
  with pytest.raises(ValueError, match="channels 3"):
    fold.inputs((4, 4, 3))


ANY = stages.FirstStage(
  variant="ae-f4",
  width=4,
  blocks=1,
  path="W",
  scale=0.5,
  read="images",
  implicit=liif.Dims(hidden=(5,)),
)


def test_with_an_implicit_function_images_of_any_side_are_decoded():
  stage = field.replace(ANY, implicit=dict(side=11))
  assert draw(stage) == {} and stage.inputs(SHAPE)["image"].shape == (8, 8, 3)
  params = jax.jit(stage.net.init)(jax.random.key(0))
  weights, z = (
    methods.Weights({}, {}, {"first_stage": params}),
    MOMENTS[..., :3],
  )
  found = jax.jit(stage.decode)(weights, z)
  render = jax.jit(stage.net.render, static_argnums=2)
  np.testing.assert_allclose(found, render(params, 2 * z, (11, 11)), atol=1e-5)
  assert jax.jit(ANY.decode)(weights, z).shape == (3, 8, 8, 3)
  # Plain codes: nothing is drawn, and they are as they were encoded.
  x = RNG.normal(size=(1, 8, 8, 3)).astype(np.float32)
  code = jax.jit(stage.net.encode)(params, x)[0]
  encode = jax.jit(lambda w, x: stage.encode(w, {"image": x}, {}))
  np.testing.assert_allclose(encode(weights, x), 0.5 * code, rtol=1e-5)


def test_a_side_needs_an_implicit_function():
  with pytest.raises(ValueError, match="need such a function"):
    field.replace(KL, implicit=dict(side=16)).inputs(SHAPE)


CLIPS = stages.FirstStage(
  variant="deep-f2x2", width=4, path="W", scale=0.5, read="images", shift=0.3
)
VIDEO = RNG.normal(size=(2, 5, 8, 8, 3)).astype(np.float32)


def filled(stage):
  like = jax.eval_shape(stage.net.init, jax.random.key(0))
  rng = np.random.default_rng(1)
  params = jax.tree.map(
    lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype), like
  )
  return methods.Weights({}, {}, {"first_stage": params})


def test_images_are_coded_frame_by_frame():
  stage = dataclasses.replace(KL, read="images")
  weights, encode = filled(stage), jax.jit(stage.encode)
  assert stage.inputs((5, 2, 2, 3))["video"].shape == (5, 8, 8, 3)
  z = encode(weights, {"video": VIDEO}, {})
  one = encode(weights, {"image": VIDEO[:, 3]}, {})
  np.testing.assert_allclose(z[:, 3], one, atol=1e-5)
  mean = z[..., :3]
  frames = jax.jit(stage.decode)(weights, mean)
  assert frames.shape == VIDEO.shape
  alone = jax.jit(stage.decode)(weights, mean[:, 1])
  np.testing.assert_allclose(frames[:, 1], alone, atol=1e-5)


def test_a_stage_of_clips_sees_them_whole_or_frame_by_frame():
  weights = filled(CLIPS)
  assert CLIPS.inputs((3, 4, 4, 8))["video"].shape == (5, 8, 8, 3)
  z = jax.jit(CLIPS.encode)(weights, {"video": VIDEO}, {})
  net, params = CLIPS.net, weights.consts["first_stage"]
  moments, _ = jax.jit(net.encode)(params, VIDEO)
  np.testing.assert_allclose(z, 0.5 * (moments - 0.3), atol=1e-5)
  back = jax.jit(CLIPS.decode)(weights, z[..., :8])
  wanted = jax.jit(net.decode)(params, moments[..., :8])
  np.testing.assert_allclose(back, wanted, atol=1e-4)
  alone = dataclasses.replace(CLIPS, by_frame=True)
  assert alone.inputs((5, 4, 4, 8))["video"].shape == (5, 8, 8, 3)
  z = jax.jit(alone.encode)(weights, {"video": VIDEO}, {})
  assert z.shape == (2, 5, 4, 4, 16)
  one = jax.jit(CLIPS.encode)(weights, {"video": VIDEO[:, 2:3]}, {})
  np.testing.assert_allclose(z[:, 2:3], one, atol=1e-5)
  assert jax.jit(alone.decode)(weights, z[..., :8]).shape == VIDEO.shape


def test_clips_without_a_stage_are_what_is_diffused():
  plain, folded = stages.FirstStage(), stages.FirstStage(variant="fold2")
  assert plain.inputs((5, 8, 8, 3))["video"].shape == (5, 8, 8, 3)
  assert folded.inputs((5, 4, 4, 12))["video"].shape == (5, 8, 8, 3)
  z = folded.encode(NOTHING, {"video": VIDEO}, {})
  assert z.shape == (2, 5, 4, 4, 12)
  np.testing.assert_array_equal(folded.decode(NOTHING, z), VIDEO)
  stored = dataclasses.replace(CLIPS, read="moments")
  assert stored.inputs((3, 4, 4, 8))["moments"].shape == (3, 4, 4, 16)


def test_what_a_stage_of_clips_cannot_do_is_refused():
  with pytest.raises(ValueError, match="codes clips"):
    CLIPS.inputs((4, 4, 8))
  other = dataclasses.replace(CLIPS, implicit=liif.Dims(hidden=(8,)))
  with pytest.raises(ValueError, match="first_stage.implicit.hidden"):
    other.inputs((3, 4, 4, 8))
  with pytest.raises(ValueError, match="channels 3"):
    CLIPS.inputs((3, 4, 4, 3))


def test_what_a_frozen_model_of_the_same_latents_agrees_in():
  plain = stages.FirstStage(variant="none")
  assert latent_channels.agrees(plain) == {}
  own = stages.FirstStage(variant="kl-f4", scale=0.5, shift=0.1)
  agreed = latent_channels.agrees(own)
  told = {name: value for name, (_, value) in agreed.items()}
  assert told == {
    "first_stage.scale": 0.5,
    "first_stage.shift": 0.1,
    "first_stage.statistics": "",
  }


def test_frames_apart_are_asked_of_a_stage_of_clips_only():
  own = stages.FirstStage(variant="kl-f4", by_frame=True)
  with pytest.raises(ValueError, match="first_stage.by_frame"):
    own.inputs((4, 4, 3))
