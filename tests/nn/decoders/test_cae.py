import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import sizes
from jmim.nn.decoders import cae

SIZE = sizes.Size(width=8, depth=2, heads=2)
NET = cae.RegressorDecoder(size=SIZE, decoder_depth=1, grid=(2, 3), out=5)
VISIBLE_IDS = np.array([[0, 4], [1, 2]])
HIDDEN_IDS = np.array([[1, 2, 5], [0, 3, 4]])


@pytest.fixture(scope="module")
def latents(normal):
  """Of visible and of hidden patches, as wide as the regressor."""
  return normal(2, 2, 8), normal(2, 3, 8, seed=1)


@pytest.fixture(scope="module")
def variables(fill, latents):
  return fill(NET, *latents, VISIBLE_IDS, HIDDEN_IDS)


@pytest.fixture(scope="module")
def run(variables):
  apply = jax.jit(NET.apply)
  return lambda *args: apply(variables, *args)


def test_visible_latents_reach_predictions_and_hidden_ones_do_not(run, latents):
  visible, hidden = latents
  out = run(visible, hidden, VISIBLE_IDS, HIDDEN_IDS)
  other = run(visible, hidden + 1, VISIBLE_IDS, HIDDEN_IDS)
  for name in ("pred", "logits"):
    np.testing.assert_array_equal(out[name], other[name])
  np.testing.assert_allclose(other["target"], hidden + 1, atol=1e-6)
  moved = run(visible[::-1], hidden, VISIBLE_IDS, HIDDEN_IDS)
  assert np.abs(moved["pred"] - out["pred"]).max() > 1e-3


def test_the_order_of_visible_patches_does_not_matter(run, latents):
  visible, hidden = latents
  out = run(visible, hidden, VISIBLE_IDS, HIDDEN_IDS)
  other = run(visible[:, ::-1], hidden, VISIBLE_IDS[:, ::-1], HIDDEN_IDS)
  np.testing.assert_allclose(other["pred"], out["pred"], atol=1e-5)


def test_a_permutation_of_hidden_patches_permutes_predictions(run, latents):
  order = np.array([2, 0, 1])
  out = run(*latents, VISIBLE_IDS, HIDDEN_IDS)
  other = run(*latents, VISIBLE_IDS, HIDDEN_IDS[:, order])
  for name in ("pred", "logits"):
    np.testing.assert_allclose(other[name], out[name][:, order], atol=1e-5)


def test_no_gradient_reaches_the_target(variables, latents):
  visible, hidden = map(jnp.asarray, latents)

  def target(h):
    out = NET.apply(variables, visible, h, VISIBLE_IDS, HIDDEN_IDS)
    return out["target"].sum()

  grad = jax.jit(jax.grad(target))(hidden)
  assert not np.any(grad)


def test_a_bridge_joins_other_widths_on_both_sides(fill, normal):
  visible, hidden = normal(2, 2, 12), normal(2, 3, 12, seed=1)
  variables = fill(NET, visible, hidden, VISIBLE_IDS, HIDDEN_IDS)
  out = NET.apply(variables, visible, hidden, VISIBLE_IDS, HIDDEN_IDS)
  p = variables["params"]["bridge"]
  x = hidden @ p["map"]["kernel"] + p["map"]["bias"]
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  expected = x * p["norm"]["scale"] + p["norm"]["bias"]
  np.testing.assert_allclose(out["target"], expected, atol=1e-5)


def test_the_second_residual_starts_from_the_normed_queries(fill, normal):
  """x <- LN2(x + Cross), then x + MLP(x): no MLP leaves LN2's output."""
  block = cae.RegressorBlock(heads=2, layer_scale=0.0)
  x, visible = normal(2, 3, 8), normal(2, 2, 8, seed=1)
  variables = fill(block, x, visible=visible)
  flat = jax.tree.map(np.zeros_like, variables["params"]["mlp"])
  params = {**variables["params"], "mlp": flat}
  params["norm2"] = {"scale": np.ones(8), "bias": np.zeros(8)}
  y, _ = block.apply({"params": params}, x, visible=visible)
  np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(-1), 1, atol=1e-4)


def test_depths_are_those_of_their_networks(variables):
  layers = lambda name: jax.tree.leaves(
    variables["params"][name]["blocks"]["layers"]
  )[0]
  assert len(layers("regressor")) == SIZE.depth
  assert len(layers("decoder")) == NET.decoder_depth


def test_layer_scale_can_be_left_out(fill, latents):
  plain = dataclasses.replace(NET, layer_scale=0.0)
  variables = fill(plain, *latents, VISIBLE_IDS, HIDDEN_IDS)
  paths = jax.tree_util.tree_leaves_with_path(variables)
  assert not [p for p, _ in paths if "gamma" in jax.tree_util.keystr(p)]
