import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import block
from jmim.nn import crate as blocks
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import crate
from jmim.nn.nets import vit

SIZE, PATCH, GRID = sizes.Size(width=8, depth=2, heads=2), 2, (2, 3)
MASK = np.array([[1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 0, 1]], np.float32)


def encoder(kind=blocks.EncoderBlock, **rt):
  rt = runtime.Runtime(**rt)
  make = functools.partial(kind, heads=2, rt=rt, parent=None)
  return crate.Encoder(size=SIZE, patch=PATCH, grid=GRID, make=make, rt=rt)


@pytest.fixture(scope="module")
def images(normal):
  return normal(2, 4, 6, 3)


def test_hidden_patches_become_the_token_before_positions(fill, images):
  model = encoder()
  variables = fill(model, images)
  p = variables["params"]
  plain = model.apply(variables, images)["embedded"]
  got = model.apply(variables, images, replaced=MASK)["embedded"]
  table = posemb.sincos_2d(8, GRID, prefix=1)
  first = np.broadcast_to(p["cls_token"][0], (2, 1, 8))  # cls has position 0
  np.testing.assert_allclose(got[:, :1], first, atol=1e-6)
  hidden = MASK[..., None] == 1
  token = p["mask_token"][0] + table[1:]
  expected = np.where(hidden, token, plain[:, 1:])
  np.testing.assert_allclose(got[:, 1:], expected, atol=1e-6)


def test_pixels_of_hidden_patches_reach_nothing(fill, images):
  model = encoder()
  variables = fill(model, images)
  apply = jax.jit(lambda x: model.apply(variables, x, replaced=MASK)["latent"])
  pixels = np.kron(MASK.reshape(2, *GRID), np.ones((PATCH, PATCH)))[..., None]
  first = apply(images)
  np.testing.assert_array_equal(apply(images + 5 * pixels), first)
  assert np.abs(apply(images + 1 - pixels) - first).max() > 1e-3


def test_every_layer_ends_without_negative_numbers(fill, images):
  model = encoder()
  out = model.apply(fill(model, images), images, taps=("block", "rate"))
  assert out["block"].shape == (2, 2, 7, 8) and out["rate"].shape == (2, 2)
  assert out["block"].min() == 0


def test_plain_blocks_make_it_a_vit_with_mask_tokens(fill, images):
  model = encoder(block.Block)
  other = vit.ViT(size=SIZE, patch=PATCH, grid=GRID, maskable=True)
  variables = fill(other, images)
  want = other.apply(variables, images, replaced=MASK, taps=("block",))
  got = model.apply(variables, images, replaced=MASK, taps=("block",))
  for name in ("embedded", "block", "latent"):
    np.testing.assert_allclose(got[name], want[name], atol=1e-6)


def test_filling_up_and_scanning_change_nothing(fill, images):
  model = encoder()
  variables = fill(model, images)
  want = model.apply(variables, images, replaced=MASK)["latent"]
  other = encoder(pad_tokens=4, scan=True, remat="full")
  got = jax.jit(other.apply)(variables, images, replaced=MASK)["latent"]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_tokens_start_normal_and_kernels_in_their_bounds():
  wide = sizes.Size(width=64, depth=2, heads=2)
  make = functools.partial(blocks.EncoderBlock, heads=2, parent=None)
  model = crate.Encoder(size=wide, patch=PATCH, grid=GRID, make=make)
  params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
  p = params["params"]
  for name in ("cls_token", "mask_token"):
    assert 0.012 < p[name].std() < 0.028
    assert np.abs(p[name]).max() > 0.03  # not truncated at one std
  layers = p["blocks"]["layers"]
  for kernel, bound in (
    (layers["ista"]["kernel"], (6 / 64) ** 0.5),  # Kaiming
    (layers["attn"]["qkv"]["kernel"], (6 / 128) ** 0.5),  # Xavier
    (layers["attn"]["proj"]["kernel"], (6 / 128) ** 0.5),
  ):
    assert kernel.shape == (2, 64, 64)
    assert 0.99 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)
    np.testing.assert_allclose(kernel.std((1, 2)), bound / 3**0.5, rtol=0.03)
