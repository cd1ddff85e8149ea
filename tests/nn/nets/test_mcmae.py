import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn.nets import mcmae

SIZE = mcmae.Size(widths=(4, 8, 16), depths=(1, 2, 2), heads=2, mlp_ratio=2.0)
NET = mcmae.MCMAE(size=SIZE, grid=(2, 3))
KEEP = np.array([[4, 0], [1, 5]])
IMAGE = (2, 32, 48, 3)


@pytest.fixture(scope="module")
def params(fill):
  return fill(NET, np.zeros(IMAGE, np.float32), scale=0.2)


@pytest.fixture(scope="module")
def run(params):
  return jax.jit(lambda x, keep: NET.apply(params, x, keep))


def seen(side):
  """[b, h, w] bool: visible places of a grid with so many per token."""
  tokens = np.zeros((2, 6), bool)
  np.put_along_axis(tokens, KEEP, True, axis=1)
  return np.kron(tokens.reshape(2, 2, 3), np.ones((1, side, side), bool))


def test_nothing_leaks_from_hidden_pixels_bit_for_bit(run, normal):
  x = normal(*IMAGE)
  pixels = seen(16)[..., None]
  a = run(x, KEEP)
  for noise in (100 * normal(*IMAGE, seed=1), np.zeros(IMAGE, np.float32)):
    b = run(np.where(pixels, x, noise), KEEP)
    np.testing.assert_array_equal(a["latent"], b["latent"])
    np.testing.assert_array_equal(a["embedded"], b["embedded"])
    for name, side in (("stage1", 4), ("stage2", 2)):
      places = seen(side)
      left, right = (np.asarray(out[name]) for out in (a, b))
      np.testing.assert_array_equal(left[places], right[places], name)
      assert np.abs(left[~places] - right[~places]).max() > 1e-3
  moved = run(np.where(pixels, x + 0.5, x), KEEP)
  assert np.abs(moved["latent"] - a["latent"]).max() > 1e-3


def test_hidden_pixels_have_no_gradient(params, normal):
  x = normal(*IMAGE)
  total = lambda x: (NET.apply(params, x, KEEP)["latent"] ** 3).sum()
  grad = np.asarray(jax.jit(jax.grad(total))(x))
  assert not grad[~seen(16)].any() and (grad[seen(16)] != 0).any()


def test_latents_follow_the_order_of_the_kept_tokens(run, normal):
  x = normal(*IMAGE)
  a, b = (run(x, keep)["latent"] for keep in (KEEP, KEEP[:, ::-1]))
  np.testing.assert_allclose(a, b[:, ::-1], atol=1e-5)


def test_all_tokens_kept_is_no_mask(run, params, normal):
  x = normal(*IMAGE)
  raster = np.tile(np.arange(6), (2, 1))
  whole = jax.jit(lambda x: NET.apply(params, x))(x)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    run(x, raster),
    whole,
  )


def test_both_stages_are_added_before_the_norm(params, normal):
  """Without the shortcuts' kernels it is the transformer's output, normed."""
  x, p = normal(*IMAGE), params["params"]
  zero = jax.tree.map(jnp.zeros_like, {n: p[n] for n in p if "cut" in n})
  out = NET.apply({"params": p | zero}, x, KEEP, taps=("block",))
  last = np.asarray(out["block"][-1])
  unit = last - last.mean(-1, keepdims=True)
  unit = unit / np.sqrt(last.var(-1, keepdims=True) + 1e-6)
  expected = unit * p["norm"]["scale"] + p["norm"]["bias"]
  np.testing.assert_allclose(out["latent"], expected, atol=1e-4)
  assert zero.keys() == {"shortcut1", "shortcut2"}
  for name in zero:
    only = NET.apply({"params": p | {name: zero[name]}}, x, KEEP)["latent"]
    assert np.abs(only - expected).max() > 1e-2


def test_scanned_unrolled_and_filled_up_agree(run, params, normal):
  x = normal(*IMAGE)
  expected = run(x, KEEP)["latent"]
  for rt in (runtime.Runtime(scan=True), runtime.Runtime(pad_tokens=4)):
    net = dataclasses.replace(NET, rt=rt)
    found = jax.jit(lambda x, net=net: net.apply(params, x, KEEP))(x)
    np.testing.assert_allclose(found["latent"], expected, atol=1e-5)


def test_drop_path_rises_over_the_blocks_of_all_stages(params, normal):
  """Factors of 0 from some block on leave what was before it."""
  x = normal(*IMAGE)
  run = jax.jit(lambda drop: NET.apply(params, x, drop=drop))
  ones = np.ones((SIZE.blocks, 2, 2), np.float32)
  whole = NET.apply(params, x)
  np.testing.assert_allclose(run(ones)["latent"], whole["latent"], atol=1e-5)
  late = np.where(np.arange(5)[:, None, None] < 3, ones, 0).astype(np.float32)
  out = run(late)
  np.testing.assert_allclose(out["stage2"], whole["stage2"], atol=1e-5)
  none = run(0 * ones)
  assert np.abs(none["stage1"] - whole["stage1"]).max() > 1e-3
  assert np.abs(out["latent"] - whole["latent"]).max() > 1e-3


def test_the_base_size_is_the_released_one():
  size = mcmae.parse("B/16")
  assert size.widths == (256, 384, 768) and size.depths == (2, 2, 11)
  assert (size.width, size.depth, size.heads, size.patch) == (768, 11, 12, 16)
  assert size.blocks == 15


@pytest.mark.parametrize("variant", ["L/16", "B/8", "B", "b/16"])
def test_unknown_sizes_are_named(variant):
  with pytest.raises(ValueError, match=f"variant '{variant}'"):
    mcmae.parse(variant)
