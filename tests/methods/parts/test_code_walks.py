"""What the walks of codes promise without trained networks."""

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.diffusion import diti
from jmim.methods.parts import code_walks

TINY = diti.DiTi.tiny()


@pytest.fixture(scope="module")
def walks(normal):
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(lambda k: TINY.init(k, {})[0], jax.random.key(0))
  params = jax.tree.map(
    lambda s: (0.2 * rng.normal(size=s.shape)).astype(np.float32), shapes
  )
  host = jax.jit(TINY.consts()["host"].init)(jax.random.key(1))
  return TINY.walks(methods.Weights(params, {}, {"host": host}))


def test_noise_is_a_function_of_the_number(walks):
  image = np.zeros((3, 8, 8, 3), np.float32)
  whole = walks.start(jax.random.key(0), {"image": image})
  part = {"image": image[:2], "index": np.array([2, 0])}
  np.testing.assert_array_equal(
    walks.start(jax.random.key(0), part), whole[np.array([2, 0])]
  )
  assert abs(np.std(whole) - 1) < 0.1


def test_neighbours_swap_codes_and_keep_their_noise(walks, normal):
  x = np.clip(0.5 * normal(3, 8, 8, 3), -1, 1)
  found = np.asarray(walks.swapped({"image": x}, None)["image"])
  assert found.shape == (3, code_walks.CUTS + 1, 8, 8, 3)
  noise, z = walks.inverted(x)
  np.testing.assert_allclose(found[:, 0], walks.walk(noise, z), atol=1e-4)
  other = z[np.array([1, 0, 2])]  # the third has no neighbour
  np.testing.assert_allclose(found[:, -1], walks.walk(noise, other), atol=1e-4)
  assert np.abs(found[:2, -1] - found[:2, 0]).max() > 1e-4
  np.testing.assert_allclose(found[2], found[2, :1] + 0 * found[2], atol=1e-5)


def test_outputs_are_made_of_the_weights(walks):
  made = methods.outputs_of(lambda weights: walks, code_walks.NAMES)
  assert set(made) == {"sample", "restore", "swapped"}
  batch = {"image": np.zeros((2, 8, 8, 3), np.float32)}
  key = jax.random.key(4)
  np.testing.assert_array_equal(
    made["sample"](None, batch, key), walks.sample(batch, key)
  )
