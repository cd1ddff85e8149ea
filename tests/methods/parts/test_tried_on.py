"""Whose garment is told, and of which frames the rest is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import clip_choice
from jmim.methods.parts import clip_network
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import tried_on

RNG = np.random.default_rng(0)
SMALL = dict(body=dict(variant="S/2", width=16, depth=2, heads=2))
NETWORK = field.replace(clip_network.ClipNetwork(), **SMALL, branch=1)
ALONE = field.replace(NETWORK, branch=0)
CLIP = clip_choice.ClipChoice(length=9, frames=4, stride=2, given=0.5)
PART = field.replace(
  tried_on.TriedOn(), garment=dict(source="stored", size=(4, 4))
)
PLAIN, B = stages.FirstStage(variant="none"), 3
normal = lambda *shape: jnp.asarray(RNG.normal(size=shape), jnp.float32)


def batch():
  masks = np.zeros((B, 9, 4, 8), np.int32)
  masks[:, :, 1:3, 2:5] = 1
  clips = {n: normal(B, 9, 4, 8, 3) for n in ("frames", "agnostic", "pose")}
  flats = {n: normal(B, 4, 4, 3) for n in ("garment", "other")}
  return clips | flats | {"masks": jnp.asarray(masks)}


BATCH = batch()
MADE = NETWORK.init(jax.random.key(0), (4, 8, 3), out=3, beside=7, context=0)
WEIGHTS = methods.Weights({"main": MADE})


def draws(part=PART, clip=CLIP):
  keys = randomness.Keys(jax.random.key(1))
  return methods.draws_of(keys, (B, 4, 4, 8, 3), clip, part)


def test_training_sees_the_frames_of_one_clip():
  drawn = draws()
  at = np.asarray(CLIP.chosen(drawn))
  z, mask, shown = PART.training(
    PLAIN, NETWORK, WEIGHTS, BATCH, draws=drawn, clip=CLIP
  )
  pick = lambda name: np.stack([BATCH[name][i, at[i]] for i in range(B)])
  np.testing.assert_array_equal(z, pick("frames"))
  np.testing.assert_array_equal(shown["known"], z)
  np.testing.assert_array_equal(mask[..., 0], pick("masks"))
  beside = shown["beside"]
  np.testing.assert_array_equal(beside["pose"], pick("pose"))
  np.testing.assert_array_equal(beside["agnostic"][..., :3], pick("agnostic"))
  np.testing.assert_array_equal(shown["given"], CLIP.given_frames(drawn))
  told = NETWORK.told(MADE, BATCH["garment"])
  np.testing.assert_allclose(shown["told"], told, rtol=1e-5, atol=1e-5)
  for name in tried_on.NAMES:
    left_out = np.asarray(drawn[f"drop_{name}"])
    np.testing.assert_array_equal(shown["keep"][name], 1.0 - left_out)


def test_dressing_is_told_what_is_asked_for_and_never_sees_the_video():
  blind = {k: x for k, x in BATCH.items() if k not in ("frames", "garment")}
  clips, shown = PART.asked(PLAIN, NETWORK, WEIGHTS, blind, n=5)
  assert set(PART.reads(NETWORK)) == set(blind)
  told = NETWORK.told(MADE, BATCH["other"])
  np.testing.assert_allclose(shown["told"], told, rtol=1e-5, atol=1e-5)
  np.testing.assert_array_equal(shown["beside"]["pose"], BATCH["pose"][:, :5])
  np.testing.assert_array_equal(clips["masks"], BATCH["masks"][:, :5])
  cond, null = PART.both(shown)
  assert set(cond["keep"]) == set(tried_on.NAMES)
  assert cond["keep"]["garment"].all() and not null["keep"]["garment"].any()
  assert null["keep"]["pose"].all() and null["keep"]["agnostic"].all()


def test_without_a_branch_only_the_garment_is_told():
  z, _, shown = PART.training(
    PLAIN, ALONE, WEIGHTS, BATCH, draws=draws(), clip=CLIP
  )
  assert set(shown) == {"told", "known", "given", "keep"}
  assert set(shown["keep"]) == {"garment"} and z.shape == (B, 4, 4, 8, 3)
  assert PART.reads(ALONE) == ("masks", "other")
  read = PART.inputs(PLAIN, (4, 8, 3), 9, ALONE)
  assert set(read) == {"frames", "masks", "garment", "other"}
  more = PART.inputs(PLAIN, (4, 8, 3), 9, NETWORK)
  assert set(more) == set(BATCH)


def test_a_garment_of_another_frame_is_told_in_training():
  part = field.replace(PART, garment=dict(source="video"))
  drawn = draws(part)
  _, _, shown = part.training(
    PLAIN, ALONE, WEIGHTS, BATCH, draws=drawn, clip=CLIP
  )
  masks, frames = BATCH["masks"], BATCH["frames"]
  at = CLIP.chosen(drawn)
  cut = part.garment.picture(
    BATCH, drawn, frames=frames, masks=masks, chosen=at
  )
  told = NETWORK.told(MADE, cut)
  np.testing.assert_allclose(shown["told"], told, rtol=1e-5, atol=1e-5)
  with pytest.raises(ValueError, match="told.garment.size"):
    field.replace(part, garment=dict(size=(4, 3))).inputs(
      PLAIN, (4, 8, 3), 9, ALONE
    )


def test_guidance_is_by_what_the_network_is_told():
  by = lambda *names: field.replace(PART, conditions=dict(guide=names))
  both = by("garment", "pose")
  both.check(NETWORK, 2.0)
  both.check(ALONE, 1.0)
  by("garment").check(ALONE, 2.0)
  for part in (both, by("pose")):
    with pytest.raises(ValueError, match="dims.branch=0 .*'pose'"):
      part.check(ALONE, 2.0)
  never = field.replace(PART, conditions=dict(drop=(0.0, 0.1, 0.1)))
  with pytest.raises(ValueError, match="told.conditions.drop"):
    never.check(NETWORK, 2.0)
