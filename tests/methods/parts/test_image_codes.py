import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import image_codes
from jmim.nn import patch as patching

KEY = jax.random.key(0)
LEVELS = image_codes.ImageCodes(
  kind="levels", vocabulary=5, side=4, channels=1, read="images"
)
PATCHES = image_codes.ImageCodes(
  kind="patches", vocabulary=6, side=2, patch=2, read="images", path="C"
)
VQ = image_codes.ImageCodes(
  kind="vq",
  vocabulary=7,
  side=2,
  variant="vq-f4",
  width=8,
  blocks=1,
  path="A",
  read="images",
  sha256="ab",
)


def weights(codes):
  consts = {k: jax.jit(c.init)(KEY) for k, c in codes.consts().items()}
  return methods.Weights({}, {}, consts)


def test_levels_are_exact_both_ways():
  ids = jnp.arange(32).reshape(2, 16) % 5
  image = LEVELS.decode(weights(LEVELS), ids)
  assert image.shape == (2, 4, 4, 1) and LEVELS.image == (4, 4, 1)
  assert (image.min(), image.max()) == (-1, 1)
  found = LEVELS.ids(weights(LEVELS), {"image": image + 0.2})
  np.testing.assert_array_equal(found, ids)
  assert LEVELS.consts() == {} and LEVELS.decodes
  assert LEVELS.inputs()["image"].range == (-1.0, 1.0)


def test_patches_are_the_nearest_rows(normal):
  w = weights(PATCHES)
  x = normal(2, 4, 4, 3)
  ids = PATCHES.ids(w, {"image": x})
  rows = np.asarray(w.consts["tokenizer"]["codes"])
  patches = np.asarray(patching.patchify(x, 2))
  distance = ((patches[:, :, None] - rows) ** 2).sum(-1)
  np.testing.assert_array_equal(ids, distance.argmin(-1))
  image = PATCHES.decode(w, ids)
  np.testing.assert_array_equal(PATCHES.ids(w, {"image": image}), ids)


def test_codes_of_an_autoencoder_are_decoded_by_it(normal):
  w = weights(VQ)
  x = normal(2, 8, 8, 3)
  ids = VQ.ids(w, {"image": x})
  assert ids.shape == (2, 4) and ids.max() < 7
  z, _ = VQ.net.encode(w.consts["tokenizer"], x)
  made = VQ.net.decode(w.consts["tokenizer"], z)
  np.testing.assert_allclose(VQ.decode(w, ids), made, atol=1e-5)
  const = VQ.consts()["tokenizer"]
  assert (const.path, const.sha256) == ("A", "ab")


def test_stored_codes_need_no_weights_but_to_be_decoded():
  stored = image_codes.ImageCodes(vocabulary=7, side=2)
  spec = stored.inputs()["tokens"]
  assert (spec.shape, spec.dtype, spec.high) == ((4,), jnp.int32, 7)
  assert stored.consts() == {} and not stored.decodes
  tokens = jnp.zeros((1, 4), jnp.int32)
  assert stored.ids(methods.Weights({}), {"tokens": tokens}) is tokens


def test_a_picture_shows_what_was_hidden():
  hidden = jnp.zeros((1, 4)).at[0, 1].set(1)
  made = PATCHES.picture(weights(PATCHES), jnp.zeros((1, 4), int), hidden)
  assert made["image"].shape == (1, 4, 4, 3)
  expected = [[0, 0, 1, 1]] * 2 + [[0] * 4] * 2
  np.testing.assert_array_equal(made["mask"][0, ..., 0], expected)


def test_mistakes():
  with pytest.raises(ValueError, match="levels are of grey values"):
    image_codes.ImageCodes(kind="levels").inputs()
  with pytest.raises(ValueError, match="codes.path 'A'"):
    image_codes.ImageCodes(kind="levels", channels=1, path="A").inputs()


def test_a_grid_may_be_wider_than_high():
  codes = dataclasses.replace(LEVELS, side=2, columns=3)
  assert (codes.grid, codes.length, codes.image) == ((2, 3), 6, (2, 3, 1))
  ids = jnp.arange(6)[None] % 5
  image = codes.decode(weights(codes), ids)
  np.testing.assert_array_equal(
    codes.ids(weights(codes), {"image": image}), ids
  )
  hidden = jnp.array([[0, 0, 1, 0, 0, 0]])
  seen = codes.picture(weights(codes), ids, hidden)
  assert seen["image"].shape == seen["mask"].shape == (1, 2, 3, 1)
  assert seen["mask"][0, 0, 2, 0] == 1
  wide = dataclasses.replace(PATCHES, columns=4)
  assert wide.decode(weights(wide), jnp.zeros((1, 8), int)).shape == (
    1,
    4,
    8,
    3,
  )
