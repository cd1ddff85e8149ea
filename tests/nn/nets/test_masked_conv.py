import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn.nets import masked_conv

SHAPE = (2, 6, 8, 4)
BLOCK = masked_conv.ConvBlock(mlp_ratio=2.0)
KEEP = np.array([[0, 5, 7], [11, 2, 3]])  # of a grid of 3 x 4
VISIBLE = np.asarray(masked_conv.visible(KEEP, (3, 4), 2))


@pytest.fixture(scope="module")
def run(fill):
  """(parameters, x [b, h, w, c], visible, drop) -> the block's output."""
  params = fill(BLOCK, np.zeros(SHAPE, np.float32))
  apply = jax.jit(lambda x, **more: BLOCK.apply(params, x, **more)[0])
  return params["params"], apply


def layer_norm(x, p):
  unit = x - x.mean(-1, keepdims=True)
  unit = unit / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
  return unit * p["scale"] + p["bias"]


def linear(x, p):
  return x @ p["kernel"] + p["bias"]


def reference(x, p, visible):
  """The card's formula, the depth-wise convolution as a sum of 25 shifts."""
  h, w = x.shape[1:3]
  y = linear(layer_norm(x, p["norm1"]), p["conv1"]) * visible
  y = np.pad(y, ((0, 0), (2, 2), (2, 2), (0, 0)))
  kernel = p["depthwise"]["kernel"][:, :, 0]
  y = sum(
    y[:, i : i + h, j : j + w] * kernel[i, j]
    for i in range(5)
    for j in range(5)
  )
  x = x + linear(y + p["depthwise"]["bias"], p["conv2"])
  y = linear(layer_norm(x, p["norm2"]), p["fc1"])
  erf = np.vectorize(math.erf)
  return x + linear(y * 0.5 * (1 + erf(y / math.sqrt(2))), p["fc2"])


@pytest.mark.parametrize("scale", [1.0, 3e-3])
def test_a_block_is_what_the_card_says(run, normal, scale):
  """At a small scale eps counts: 1e-5, not the transformer's 1e-6."""
  params, apply = run
  x = scale * normal(*SHAPE)
  expected = reference(x.astype(np.float64), params, VISIBLE)
  found = apply(x, visible=VISIBLE)
  np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_mask_that_hides_nothing_is_no_mask(run, normal):
  """But for rounding: two programs, whose sums are fused differently."""
  x, every = normal(*SHAPE), np.ones_like(VISIBLE)
  np.testing.assert_allclose(run[1](x, visible=every), run[1](x), atol=1e-6)


def test_what_is_hidden_reaches_itself_alone(run, normal):
  _, apply = run
  x = normal(*SHAPE)
  other = np.where(VISIBLE, x, 1e3 * normal(*SHAPE, seed=1))
  a, b = (np.asarray(apply(y, visible=VISIBLE)) for y in (x, other))
  seen = VISIBLE[..., 0]
  np.testing.assert_array_equal(a[seen], b[seen])
  # Hidden places are not set to 0, and see visible neighbours.
  assert (np.abs(a[~seen] - b[~seen]).max(-1) > 1e-3).all()
  moved = np.where(VISIBLE, x + normal(*SHAPE, seed=2), x)
  c = np.asarray(apply(moved, visible=VISIBLE))
  assert np.abs(a[~seen] - c[~seen]).max() > 1e-3


def test_each_branch_of_each_example_is_dropped_alone(run, normal):
  _, apply = run
  x = normal(*SHAPE)
  both = np.array([[0.0, 2.0], [0.0, 2.0]], np.float32)
  out = apply(x, drop=both)
  np.testing.assert_array_equal(out[0], x[0])
  assert np.abs(out[1] - x[1]).max() > 1e-3
  ones = np.ones((2, 2), np.float32)
  np.testing.assert_allclose(apply(x, drop=ones), apply(x), atol=1e-6)


def test_a_token_hides_the_same_area_of_every_grid():
  """N_hidden 16 and N_hidden 4 zeros for the stages of MCMAE."""
  keep = jnp.array([[0, 5, 9, 2], [15, 1, 8, 4]])
  for cells in (1, 2, 4):
    seen = np.asarray(masked_conv.visible(keep, (4, 4), cells))
    assert seen.shape == (2, 4 * cells, 4 * cells, 1)
    assert (seen.sum((1, 2, 3)) == 4 * cells**2).all()
    coarse = seen[:, ::cells, ::cells, 0].reshape(2, 16)
    np.testing.assert_array_equal(np.flatnonzero(coarse[0]), [0, 2, 5, 9])
    square = np.kron(coarse.reshape(2, 4, 4), np.ones((1, cells, cells)))
    np.testing.assert_array_equal(seen[..., 0], square)


def test_a_stage_cuts_patches_and_has_no_mask_before_the_blocks(fill, normal):
  stage = masked_conv.ConvStage(width=4, depth=2, stride=2, mlp_ratio=2.0)
  x = normal(1, 12, 16, 3)
  params = fill(stage, x)
  seen = VISIBLE[:1]
  a = stage.apply(params, x, seen)
  assert a.shape == (1, 6, 8, 4)
  np.testing.assert_array_equal(
    stage.apply(params, x, np.ones_like(seen)), stage.apply(params, x)
  )
  ids = np.kron(seen[..., 0], np.ones((2, 2), bool))[..., None]
  b = stage.apply(params, np.where(ids, x, 7.0).astype(np.float32), seen)
  np.testing.assert_array_equal(a[seen[..., 0]], b[seen[..., 0]])


def test_embeddings_normalise_before_the_activation(fill, normal):
  x = normal(2, 5, 12)
  embed = masked_conv.Embed(width=4, linear=True)
  params = fill(embed, x)
  p = params["params"]
  y = layer_norm(linear(x, p["proj"]), p["norm"])
  y = y * 0.5 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
  expected = linear(y, p["linear"])
  np.testing.assert_allclose(embed.apply(params, x), expected, atol=1e-5)
  plain = masked_conv.Embed(width=4)
  p = {k: v for k, v in p.items() if k != "linear"}
  np.testing.assert_allclose(plain.apply({"params": p}, x), y, atol=1e-5)
