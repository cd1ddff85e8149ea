import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import dropping
from jmim.nn import patch as patching
from jmim.nn import sizes
from jmim.nn.nets import vit

PART = dropping.Dropping()
REDUNDANT = dropping.Dropping(first="redundant")
KEY = jax.random.key(0)


@functools.cache
def net_and_params(positions="sincos", grid=(4, 4), patch=2):
  size = sizes.Size(width=12, depth=3, heads=2)
  net = vit.ViT(size=size, patch=patch, grid=grid, positions=positions)
  side = grid[0] * patch
  params = jax.jit(net.init)(KEY, jnp.zeros((1, side, side, 3)))["params"]
  return net, params


def run(part, net, params, images, *, noise=None, tapped=()):
  def program(images, noise):
    return part.run(net, params, images, noise=noise, tapped=tapped)

  return jax.jit(program)(images, noise)


def test_stages_of_the_published_sizes():
  assert PART.stage_counts(196, 12) == {0: 137, 4: 96, 8: 67}
  assert PART.stage_counts(196, 24) == {0: 137, 8: 96, 16: 67}
  assert PART.stage_counts(64, 6) == {0: 44, 2: 31, 4: 21}
  assert dropping.Dropping(ratio=0.0).stage_counts(196, 12) == {}


def test_137_96_and_67_of_196_tokens_are_alive(normal):
  """At the layers themselves, cls apart; tokens never come back."""
  net, params = net_and_params(grid=(14, 14), patch=1)
  noise = jax.random.uniform(KEY, (2, 196))
  images = normal(2, 14, 14, 3)
  out = run(PART, net, params, images, noise=noise, tapped=(0, 1, 2))
  before = {*range(196)}, {*range(196)}
  for number, count in enumerate((137, 96, 67)):
    layer = out["layers"][number]
    for name in "qkv":
      assert layer[name].shape == (2, 2, 1 + count, 6)
    ids = np.asarray(layer["ids"])
    assert (np.diff(ids) > 0).all() and ids.shape == (2, count)
    assert all(set(row) < old for row, old in zip(ids, before, strict=True))
    before = tuple(map(set, ids))
  assert out["latent"].shape == (2, 68, 12)
  np.testing.assert_array_equal(out["ids"], out["layers"][2]["ids"])


def test_the_first_stage_drops_at_random_and_without_noise_redundant_ones():
  x = np.zeros((2, 5, 3), np.float32)
  # Tokens 1 and 3 are one direction, the others stand alone.
  x[:, 0, 0] = x[:, 1, 1] = x[:, 4, 2] = 1.0
  x[:, 3, 1], x[:, 2] = 4.0, (-1.0, -1.0, 0.0)
  noise = np.array([[0.9, 0.1, 0.8, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4, 0.5]])
  random = PART.kept(x, 3, noise)
  np.testing.assert_array_equal(random, [[1, 3, 4], [0, 1, 2]])
  np.testing.assert_array_equal(PART.kept(x, 3), [[0, 2, 4]] * 2)


def test_noise_is_drawn_where_something_is_dropped_at_random():
  keys = lambda: randomness.Keys(KEY)
  assert PART.draw(keys(), 3, 16)["noise"].shape == (3, 16)
  assert REDUNDANT.draw(keys(), 3, 16) == {}
  assert dropping.Dropping(ratio=0.0).draw(keys(), 3, 16) == {}


def test_without_dropping_it_is_the_network(normal):
  net, params = net_and_params()
  images, off = normal(2, 8, 8, 3), dropping.Dropping(ratio=0.0)
  out = run(off, net, params, images, tapped=(1,))
  plain = jax.jit(lambda x: net.apply({"params": params}, x, taps=("q", "v")))(
    images
  )
  np.testing.assert_allclose(out["latent"], plain["latent"], atol=1e-5)
  assert set(out["layers"]) == {1}
  for name in "qv":
    np.testing.assert_allclose(
      out["layers"][1][name], plain[name][1], atol=1e-5
    )


def test_dropped_pixels_are_not_seen(normal):
  """Those of the first stage, bit for bit."""
  net, params = net_and_params()
  noise, images = normal(2, 16), normal(2, 8, 8, 3, seed=1)
  first = run(PART, net, params, images, noise=noise, tapped=(0,))
  gone = np.ones((2, 16))
  np.put_along_axis(gone, np.asarray(first["layers"][0]["ids"]), 0, 1)
  assert gone.sum() == 2 * 5
  pixels = np.kron(gone.reshape(2, 4, 4), np.ones((2, 2)))[..., None]
  changed = (images + 50 * pixels).astype(np.float32)
  other = run(PART, net, params, changed, noise=noise, tapped=(0,))
  np.testing.assert_array_equal(first["latent"], other["latent"])
  np.testing.assert_array_equal(first["ids"], other["ids"])


def test_permuted_patches_are_dropped_alike(normal):
  """No random stage, no positions: all follows the order of the patches."""
  net, params = net_and_params(positions="none")
  patches = normal(2, 16, 12)
  order = np.random.default_rng(0).permutation(16)
  pictures = (patching.unpatchify(patches[:, i], 2) for i in (range(16), order))
  outs = a, b = [run(REDUNDANT, net, params, x) for x in pictures]
  for i in range(2):
    where = order[np.asarray(b["ids"][i])]
    back = np.argsort(where)
    np.testing.assert_array_equal(where[back], a["ids"][i])
    latents = [np.asarray(out["latent"][i]) for out in outs]
    np.testing.assert_allclose(latents[1][1:][back], latents[0][1:], atol=1e-4)
    np.testing.assert_allclose(latents[1][0], latents[0][0], atol=1e-4)


@pytest.mark.parametrize(
  "change, n, word",
  [
    ({"stages": 4}, 16, "dropping.stages: 4 of 3 blocks"),
    ({"ratio": 0.6}, 16, "dropping.ratio 0.6 leaves 1 of 16 patches"),
  ],
)
def test_what_does_not_fit_is_named(change, n, word):
  PART.check(n, 3)
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(PART, **change).check(n, 3)
  dataclasses.replace(PART, stages=9, ratio=0.0).check(n, 3)
