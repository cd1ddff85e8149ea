import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import worn_video

PART = worn_video.WornVideo(alpha=3.0)
PLAIN = stages.FirstStage(variant="none")
VAE = stages.FirstStage(
  variant="kl-f8", width=8, blocks=1, read="images", path="W"
)
NONE = methods.Weights({})
RNG = np.random.default_rng(0)
normal = lambda *shape: jnp.asarray(RNG.normal(size=shape), jnp.float32)


def clips(side=4):
  masks = np.zeros((2, 3, side, 2 * side), np.int32)
  masks[:, :, : side // 2, : side // 2] = 1
  frames = normal(2, 3, side, 2 * side, 3)
  return {
    "frames": frames,
    "agnostic": jnp.where(masks[..., None] > 0, 0.0, frames),
    "pose": normal(2, 3, side, 2 * side, 3),
    "masks": jnp.asarray(masks),
  }


def test_a_branch_sees_pose_agnostic_frames_and_the_mask():
  x = clips()
  found = PART.beside(PLAIN, NONE, x)
  np.testing.assert_array_equal(found["pose"], x["pose"])
  np.testing.assert_array_equal(found["agnostic"][..., :3], x["agnostic"])
  np.testing.assert_array_equal(found["agnostic"][..., 3], x["masks"])


def test_latents_are_those_of_each_frame_and_masks_are_shares():
  x = clips(side=16)
  consts = {"first_stage": VAE.net.init(jax.random.key(0))}
  weights = methods.Weights({}, consts=consts)
  noise = normal(2, 3, 2, 4, 4)
  z = worn_video.latents(VAE, weights, x["frames"], noise)
  one = {"image": x["frames"][:, 1]}
  want = VAE.encode(weights, one, {"posterior": noise[:, 1]})
  np.testing.assert_allclose(z[:, 1], want, rtol=1e-5, atol=1e-5)
  masks = x["masks"].at[0, 0, :4, 8:].set(1)
  small = PART.small(masks, 8)
  assert small.shape == (2, 3, 2, 4, 1)
  shares = [[1, 0.5, 0.5, 0.5], [0, 0, 0, 0]]
  np.testing.assert_array_equal(small[0, 0, :, :, 0], shares)


def test_frames_that_are_given_do_not_count_and_the_mask_weighs_alpha():
  x = clips()
  mask = PART.small(x["masks"], 1)
  z, raw, noise = (normal(*x["frames"].shape) for _ in range(3))
  given = jnp.array([[True, False, False], [False, False, False]])
  process = gaussian.Gaussian(times=20)
  draws = {"noise": noise, "t": jnp.array([3, 7])}
  terms = lambda r: PART.terms(process, r, z, draws, given=given, mask=mask)
  error = np.asarray(raw - noise) ** 2 * np.where(mask > 0, 3.0, 1.0)
  want = [error[0, 1:].mean(), error[1].mean()]
  np.testing.assert_allclose(terms(raw)["mse"], want, rtol=1e-5)
  np.testing.assert_array_equal(
    terms(raw.at[0, 0].add(9.0))["mse"], terms(raw)["mse"]
  )


def test_a_learned_variance_has_the_bound_of_each_frame():
  process = gaussian.Gaussian(times=20, learn_variance=True)
  z, noise = normal(2, 3, 4, 8, 3), normal(2, 3, 4, 8, 3)
  raw = normal(2, 3, 4, 8, 6)
  t, given = jnp.array([3, 0]), jnp.array([[False] * 3, [True, False, True]])
  mask = jnp.zeros((2, 3, 4, 8, 1))
  draws = {"noise": noise, "t": t}
  found = PART.terms(process, raw, z, draws, given=given, mask=mask)["vb"]
  frame = lambda i: process.errors(
    raw[:, i], z[:, i], {"noise": noise[:, i], "t": t}
  )["vb"]
  each = np.stack([frame(i) for i in range(3)], axis=1)
  np.testing.assert_allclose(found, [each[0].mean(), each[1, 1]], rtol=1e-4)


def test_what_is_pasted():
  x = clips()
  made = normal(2, 3, 4, 8, 3)
  found = PART.pasted(x, made)
  where = np.asarray(x["masks"]) > 0
  np.testing.assert_array_equal(found[where], made[where])
  np.testing.assert_array_equal(found[~where], x["frames"][~where])
  assert PART.pasted({"masks": x["masks"]}, made) is made


def test_what_is_read_and_what_is_refused():
  read = PART.inputs(PLAIN, (4, 8, 3), 5, branch=True)
  shapes = {name: x.shape for name, x in read.items()}
  clip = dict.fromkeys(("frames", "agnostic", "pose"), (5, 4, 8, 3))
  assert shapes == clip | {"masks": (5, 4, 8)}
  small = PART.inputs(PLAIN, (4, 8, 3), 5, branch=False)
  assert set(small) == {"frames", "masks"}
  large = PART.inputs(VAE, (2, 4, 4), 5, branch=False)["frames"].shape
  assert large == (5, 16, 32, 3)
  moments = stages.FirstStage(variant="kl-f8", path="W")
  clips_too = stages.FirstStage(variant="deep-f4x4", read="images", path="W")
  for stage, channels in ((moments, 4), (clips_too, 16)):
    with pytest.raises(ValueError, match="one of images that reads images"):
      PART.inputs(stage, (2, 4, channels), 5, branch=False)
