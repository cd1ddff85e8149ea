import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import ladder
from jmim.nn import resize

LADDER = ladder.Ladder(rungs=2)
EMPTY = methods.Weights({})


def test_images_are_resized(normal):
  x = normal(2, 4, 6, 3)
  found = LADDER.twice(EMPTY, x, stages.FirstStage())
  np.testing.assert_allclose(found, resize.images(x, (8, 12)), atol=1e-6)
  # Of one colour they stay of that colour.
  flat = jnp.full((1, 4, 4, 3), 0.25)
  found = LADDER.twice(EMPTY, flat, stages.FirstStage())
  np.testing.assert_allclose(found, 0.25, atol=1e-6)


def test_latents_are_decoded_and_the_mean_of_twice_the_image_taken(normal):
  stage = stages.FirstStage(
    variant="kl-f4", width=4, blocks=1, path="W", scale=0.5
  )
  params = jax.jit(stage.net.init)(jax.random.key(0))
  weights = methods.Weights({}, {}, {"first_stage": params})
  z = normal(1, 2, 2, 3)

  @jax.jit
  def both(z):
    image = stage.net.decode(params, z / 0.5)
    moments, _ = stage.net.encode(params, resize.images(image, (16, 16)))
    return LADDER.twice(weights, z, stage), 0.5 * moments[..., :3]

  found, wanted = both(z)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  assert found.shape == (1, 4, 4, 3)


def test_latents_that_cannot_be_decoded_are_refused():
  moments = stages.FirstStage(variant="kl-f4")
  with pytest.raises(ValueError, match="ladder.rungs=2 .* first_stage.path"):
    LADDER.check(moments)
  ladder.Ladder().check(moments)
  LADDER.check(stages.FirstStage())
