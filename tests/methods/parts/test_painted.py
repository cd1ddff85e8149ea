import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import painted

PART = painted.Painted(read="picture", alpha=3.0)
PLAIN = stages.FirstStage(variant="none")
FOLDED = stages.FirstStage(variant="fold2")
VAE = stages.FirstStage(variant="kl-f8", width=8, blocks=1, read="images")
RNG = np.random.default_rng(0)
NONE = methods.Weights({})


def batch(height=4, width=8):
  mask = np.zeros((2, height, width), np.int32)
  mask[0, :2, 2:6] = 1
  mask[1, 2:, :4] = 1
  picture = RNG.normal(size=(2, height, width, 3)).astype(np.float32)
  return {"picture": jnp.asarray(picture), "mask": jnp.asarray(mask)}


def test_beside_is_the_mask_and_the_picture_that_is_left():
  b = batch()
  found = PART.beside(PLAIN, NONE, b)["concat"]
  np.testing.assert_array_equal(found[..., 0], b["mask"])
  hidden = b["mask"][..., None] > 0
  left = np.where(hidden, 0.0, b["picture"])
  np.testing.assert_array_equal(found[..., 1:], left)


def test_a_smaller_mask_has_the_upper_left_pixel_of_each_square():
  b = batch()
  mask = b["mask"].at[0, 0, 2].set(0).at[0, 1, 3].set(0)  # odd squares
  found = PART.beside(FOLDED, NONE, b | {"mask": mask})["concat"]
  assert found.shape == (2, 2, 4, 13)
  np.testing.assert_array_equal(found[..., 0], mask[:, ::2, ::2])


def test_errors_in_the_mask_weigh_alpha_and_all_elements_count():
  b = batch()
  shown = PART.beside(PLAIN, NONE, b)
  pred, noise = b["picture"], b["picture"][::-1]
  loss, aux = PART.loss(pred, noise, shown)
  error = np.asarray(pred - noise) ** 2
  hidden = np.broadcast_to(np.asarray(b["mask"])[..., None] > 0, error.shape)
  want = (3.0 * error[hidden].sum() + error[~hidden].sum()) / error.size
  assert loss == pytest.approx(want, rel=1e-5)
  assert aux["loss_unweighted"] == pytest.approx(error.mean(), rel=1e-5)
  even = painted.Painted(alpha=1.0).loss(pred, noise, shown)[0]
  assert even == pytest.approx(error.mean(), rel=1e-5)


def test_what_is_pasted_is_exact_outside_and_made_inside():
  b = batch()
  made = b["picture"] + 0.5
  found = PART.pasted(b, made)
  hidden = np.asarray(b["mask"])[..., None] > 0
  kept = np.broadcast_to(~hidden, made.shape)
  np.testing.assert_array_equal(found["image"][kept], b["picture"][kept])
  np.testing.assert_array_equal(found["image"][~kept], made[~kept])
  gap = PART.outside(b, found)
  np.testing.assert_array_equal(gap["image"], 0.0)
  np.testing.assert_allclose(gap["made"], 0.5, rtol=1e-5)
  whole = b | {"mask": jnp.ones_like(b["mask"])}
  np.testing.assert_array_equal(PART.outside(whole, found)["made"], 0.0)


def test_a_first_stage_has_a_sample_for_each_of_both():
  b = batch(16, 16)
  own = jax.jit(VAE.net.init)(jax.random.key(0))
  weights = methods.Weights({}, {}, {"first_stage": own})
  shape = (2, 2, 2, 4)
  draws = PART.draw(randomness.Keys(jax.random.key(1)), shape, VAE)
  assert draws["posterior"].shape == (2, 2, 2, 2, 4)
  latents = jax.jit(lambda d: PART.latents(VAE, weights, b, d))
  z, beside = latents(draws)
  zero = {"posterior": jnp.zeros_like(draws["posterior"])}
  mean, rest = latents(zero)
  np.testing.assert_array_equal(
    rest["concat"], jax.jit(lambda: PART.beside(VAE, weights, b))()["concat"]
  )
  assert np.abs(z - mean).min() > 0
  np.testing.assert_array_equal(
    beside["concat"][..., 0], b["mask"][:, ::8, ::8]
  )
  moved = {"posterior": draws["posterior"].at[:, 1].add(1.0)}
  same, other = latents(moved)
  np.testing.assert_array_equal(same, z)
  gap = np.abs(other["concat"] - beside["concat"])
  assert gap[..., 1:].min() > 0 and not gap[..., 0].any()


def test_inputs_are_pictures_and_masks_of_their_size():
  read = PART.inputs(FOLDED, (2, 4, 12))
  assert read["picture"].shape == (4, 8, 3) and read["mask"].shape == (4, 8)
  assert PART.draw(randomness.Keys(jax.random.key(0)), (1, 2), FOLDED) == {}


@pytest.mark.parametrize(
  ("stage", "shape", "seen"),
  [
    (VAE, (2, 4, 4), "two that are equal"),
    (FOLDED, (2, 12), "height and width"),
    (stages.FirstStage(variant="kl-f8"), (2, 2, 4), "read='images'"),
  ],
)
def test_what_cannot_be_painted_is_refused(stage, shape, seen):
  with pytest.raises(ValueError, match=seen):
    PART.inputs(stage, shape)
