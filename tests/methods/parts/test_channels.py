import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import runtime
from jmim.masks import rectangles
from jmim.methods.parts import channels
from jmim.methods.parts import first_stage as stages
from jmim.nn import resize

PIXELS = stages.FirstStage()
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
NOTHING = methods.Weights({})


def of(task, segments=4):
  return channels.Channels(
    task=task, segments=segments, reduction=3, rt=runtime.Runtime()
  )


def test_inpainting_shows_the_image_without_its_hole_and_where_it_is():
  part = of("inpaint")
  batch = {"image": IMAGES, "hole": RNG.random((3, 4)).astype(np.float32)}
  found = part.make({}, NOTHING, batch, PIXELS)
  hole = np.asarray(rectangles.holes(batch["hole"], 8))
  assert found.shape[-1] == part.number(3) == 4
  np.testing.assert_array_equal(
    found[..., :3], np.where(hole > 0, -1.0, IMAGES)
  )
  np.testing.assert_array_equal(found[..., 3:], 2 * hole - 1)
  made = part.fill(jnp.zeros_like(IMAGES), batch)
  np.testing.assert_array_equal(made, np.where(hole > 0, 0.0, IMAGES))


def test_a_batch_that_says_where_its_hole_is_keeps_it():
  part, key = of("inpaint"), jax.random.key(0)
  given = {"image": IMAGES, "hole": np.zeros((3, 4))}
  assert part.with_hole(given, key)["hole"] is given["hole"]
  drawn = part.with_hole({"image": IMAGES}, key)["hole"]
  assert drawn.shape == (3, 4) and len(np.unique(drawn)) == 12
  assert of("superres").with_hole({"image": IMAGES}, key).keys() == {"image"}


def test_low_resolution_is_encoded_with_its_pixels_repeated():
  part = dataclasses.replace(of("lowres"), reduction=4)
  small = np.asarray(resize.images(IMAGES, (2, 2), "smooth"))
  coarse = small.repeat(4, 1).repeat(4, 2)
  shown = part.make({}, NOTHING, {"image": IMAGES}, PIXELS)
  np.testing.assert_allclose(shown, coarse, atol=1e-6)
  stage = stages.FirstStage(
    variant="kl-f4", width=4, blocks=1, scale=0.5, read="images"
  )
  params = jax.jit(stage.net.init)(jax.random.key(0))
  weights = methods.Weights({}, {}, {"first_stage": params})
  make = jax.jit(lambda w, x: part.make({}, w, {"image": x}, stage))
  moments = jax.jit(stage.net.encode)(params, coarse)[0]
  found = make(weights, IMAGES)
  np.testing.assert_allclose(found, 0.5 * moments[..., :3], atol=1e-5)
  assert found.shape[-1] == part.number(3)


def test_a_semantic_map_is_linear_in_its_classes():
  part = of("semantic")
  params = jax.jit(part.init)(jax.random.key(0))
  maps = RNG.integers(0, 4, (2, 8, 8))
  shown = part.make(params, NOTHING, {"segmentation": maps}, PIXELS)
  kernel = np.asarray(params["segments"]["kernel"])
  np.testing.assert_allclose(shown, kernel[maps], rtol=1e-6)
  assert shown.shape[-1] == part.number(5)


@pytest.mark.parametrize(
  "task, stage, seen",
  [
    ("superres", PIXELS, "for its factor"),
    ("inpaint", stages.FirstStage(variant="kl-f4"), "read='images'"),
    ("semantic", stages.FirstStage(variant="kl-f8"), "first_stage of 8"),
    ("lowres", stages.FirstStage(variant="kl-f4"), "read='images'"),
    ("lowres", PIXELS, "reduction=3, which does not divide the side 8"),
  ],
)
def test_tasks_that_a_first_stage_does_not_allow_are_refused(task, stage, seen):
  with pytest.raises(ValueError, match=seen):
    of(task).check(stage, 8)


def test_folded_images_are_shown_folded_around_a_hole():
  fold, part = stages.FirstStage(variant="fold2"), of("inpaint")
  batch = {"image": IMAGES, "hole": RNG.random((3, 4)).astype(np.float32)}
  found = part.make({}, NOTHING, batch, fold)
  assert found.shape == (3, 4, 4, part.number(12))
  hole = np.asarray(rectangles.holes(batch["hole"], 8))
  shown = fold.decode(NOTHING, found[..., :12])
  np.testing.assert_array_equal(shown, np.where(hole > 0, -1.0, IMAGES))
