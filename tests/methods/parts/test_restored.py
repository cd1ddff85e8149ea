import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import runtime
from jmim.methods.parts import degraded
from jmim.methods.parts import first_stage
from jmim.methods.parts import restored
from jmim.methods.parts import tiles
from jmim.nn import resize

NONE = methods.Weights({})


def space(size=8, **parts):
  known = dict(
    first_stage=first_stage.FirstStage(),
    degraded=degraded.Degraded(degradation="bicubic", factor=2),
    tiles=tiles.Tiles(side=0),
    rt=runtime.Runtime(),
  )
  return restored.Space(shape=(size, size, 3), **known | parts)


@pytest.fixture(scope="module")
def images(normal):
  return jnp.asarray(np.tanh(normal(3, 8, 8, 3)))


def test_a_latent_stands_for_a_larger_image():
  vq = first_stage.FirstStage(variant="vq-f4", codes=8, read="images")
  assert space(first_stage=vq).image == (32, 32, 3)
  assert space(first_stage=vq).low == (16, 16, 3)
  moments = dataclasses.replace(vq, read="moments")
  with pytest.raises(ValueError, match="first_stage.read='moments'"):
    space(first_stage=moments).inputs(1)
  third = degraded.Degraded(degradation="area", factor=3)
  sixteenth = first_stage.FirstStage(variant="kl-f16", read="images")
  latents = space(6, first_stage=sixteenth, degraded=third)
  latents = dataclasses.replace(latents, shape=(6, 6, 16))
  with pytest.raises(ValueError, match="factor=3: an input of side 32"):
    latents.inputs(1)
  with pytest.raises(ValueError, match="tiles.side=8 is no multiple of 16"):
    space(first_stage=vq, tiles=tiles.Tiles(side=8, stride=8)).inputs(4)


def test_squares_of_pixels_stand_for_an_image_of_three_channels(images):
  folded = first_stage.FirstStage(variant="fold2")
  made = dataclasses.replace(space(4, first_stage=folded), shape=(4, 4, 12))
  assert made.image == (8, 8, 3) and made.low == (4, 4, 3)
  assert made.inputs(1)["image"].shape == made.image
  seen = made.seen(NONE, {"image": images}, {})
  assert seen.z.shape == seen.y.shape == (3, 4, 4, 12)


def test_an_input_is_enlarged_as_torch_does(images):
  made = space().seen(NONE, {"image": images}, {})
  np.testing.assert_array_equal(made.z, images)
  assert made.low.shape == (3, 4, 4, 3)
  expected = resize.images(made.low, (8, 8), "bicubic")
  np.testing.assert_array_equal(made.y, expected)


def test_a_result_is_that_of_its_image(images):
  """Not of its place in a batch; tiles have numbers of their own."""
  made = lambda y, low, normal: y + normal(2)
  area = degraded.Degraded(degradation="area", factor=2)
  key, batch = jax.random.key(3), {"image": images}
  whole = space(degraded=area)
  run = jax.jit(lambda batch: whole.restored(NONE, batch, key, made))
  found = run(batch)
  np.testing.assert_array_equal(found["target"], images)
  turned = run({name: x[::-1] for name, x in batch.items()})
  for name, x in found.items():
    np.testing.assert_allclose(x, turned[name][::-1], atol=1e-6)
  cut = space(degraded=area, tiles=tiles.Tiles(side=4, stride=4))
  noise = cut.restored(NONE, batch, key, lambda y, low, normal: normal(2))
  corners = np.asarray(noise["image"])[:, ::4, ::4, 0].reshape(3, 4)
  assert len(np.unique(corners)) == 12
