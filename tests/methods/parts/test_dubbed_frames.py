"""Frames of clips: which are shown beside which, and what noise they have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.edit import diffdub

M = diffdub.DiffDub.tiny()
RNG = np.random.default_rng(0)
CLIP = jnp.asarray(np.tanh(RNG.normal(size=(2, 4, 8, 8, 3))), jnp.float32)


@pytest.fixture(scope="module")
def weights():
  shapes, _ = jax.eval_shape(M.init, jax.random.key(0), {})
  rng = np.random.default_rng(1)
  fill = lambda s: jnp.asarray(0.2 * rng.normal(size=s.shape), jnp.float32)
  return methods.Weights(jax.tree.map(fill, shapes))


def made(m, weights, name, batch, seed=0):
  key = jax.random.key(seed)
  return jax.jit(lambda w, b: m.predict()[name](w, b, key))(weights, batch)


def test_codes_are_those_of_single_frames(weights):
  codes = made(M, weights, "codes", {"image": CLIP})
  assert codes.shape == (2, 4, M.width)
  for i in range(4):
    pair = jnp.stack([CLIP[:, i], CLIP[:, 0]], 1)
    one = made(M, weights, "features", {"image": pair})
    np.testing.assert_allclose(codes[:, i], one, atol=1e-5)


def test_kept_pixels_are_equal_and_the_hole_is_not(weights):
  found = made(M, weights, "dubbed", {"image": CLIP})
  keep = np.asarray(M.face.keep(CLIP[:, 0], None))[:, None]
  known = np.broadcast_to(keep > 0, CLIP.shape)
  np.testing.assert_array_equal(found["video"][known], CLIP[known])
  assert np.abs(found["video"] - CLIP)[~known].mean() > 0.1
  assert not np.asarray(found["outside"]).any()
  free = field.replace(M, clean=dict(paste_last=False))
  assert np.asarray(
    made(free, weights, "dubbed", {"image": CLIP})["outside"]
  ).all()


def test_frames_have_the_noise_of_their_clip(weights):
  """The same frame, code and reference, again and again, is made alike."""
  still = {"image": jnp.repeat(CLIP[:, :1], 3, 1)}
  video = np.asarray(made(M, weights, "dubbed", still)["video"])
  np.testing.assert_allclose(video[:, 0], video[:, 2], atol=1e-5)
  other = made(M, weights, "dubbed", still, seed=1)["video"]
  assert np.abs(other - video).max() > 0.05
  # With seeds of its own an example does not depend on its place.
  seed = jnp.arange(4, dtype=jnp.uint32).reshape(2, 2)
  own = made(M, weights, "dubbed", still | {"seed": seed})["video"]
  turned = {"image": still["image"][::-1], "seed": seed[::-1]}
  back = made(M, weights, "dubbed", turned)["video"]
  np.testing.assert_allclose(back[::-1], own, atol=1e-5)


def test_codes_that_are_given_are_shown(weights):
  codes = made(M, weights, "codes", {"image": CLIP})
  plain = made(M, weights, "dubbed", {"image": CLIP})["video"]
  own = made(M, weights, "dubbed", {"image": CLIP, "codes": codes})["video"]
  np.testing.assert_allclose(own, plain, atol=1e-5)
  other = made(M, weights, "dubbed", {"image": CLIP, "codes": codes + 1})
  assert np.abs(other["video"] - plain).max() > 0.05


def test_a_reference_that_is_named_is_shown_beside_all(weights):
  at = jnp.array([[2], [0]])
  found = made(M, weights, "dubbed", {"image": CLIP, "reference": at})["video"]
  for i in range(4):
    beside = jnp.stack([CLIP[0, 2], CLIP[1, 0]])
    pair = jnp.stack([CLIP[:, i], beside], 1)
    one = made(M, weights, "reconstruct", {"image": pair})["image"]
    np.testing.assert_allclose(found[:, i], one, atol=1e-5)


def test_without_references_pictures_are_single(weights):
  m = field.replace(M, references=0, face=dict(kind="none"))
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  rng = np.random.default_rng(1)
  fill = lambda s: jnp.asarray(0.2 * rng.normal(size=s.shape), jnp.float32)
  own = methods.Weights(jax.tree.map(fill, shapes))
  single = made(m, own, "dubbed", {"image": CLIP[:, 0]})["video"]
  several = made(m, own, "dubbed", {"image": CLIP})["video"]
  assert single.shape == (2, 1, 8, 8, 3)
  np.testing.assert_allclose(single[:, 0], several[:, 0], atol=1e-5)


def test_neighbours_change_codes(weights):
  batch = {"image": CLIP[:, :2]}
  found = made(M, weights, "swapped", batch)
  np.testing.assert_array_equal(found["guide"], CLIP[::-1, 0])
  codes = made(M, weights, "features", batch)
  told = {"image": CLIP[:, :2], "codes": jnp.stack([codes[::-1]] * 2, 1)}
  want = made(M, weights, "dubbed", told)["video"][:, 0]
  np.testing.assert_allclose(found["image"], want, atol=1e-5)
