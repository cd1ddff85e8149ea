import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.decoders import ijepa

GRID = (3, 4)
CONTEXT_IDS = np.array([[0, 5, 7], [3, 4, 11]])
TARGET_IDS = np.array([[1, 2], [8, 9]])


def model(depth):
  size = sizes.Size(width=8, depth=depth, heads=2)
  return ijepa.Predictor(size=size, grid=GRID, out=5)


@pytest.fixture(scope="module")
def context(normal):
  return normal(2, 3, 6)


def test_without_blocks_targets_are_the_token_at_its_place(fill, context):
  net = model(0)
  variables = fill(net, context, CONTEXT_IDS, TARGET_IDS)
  pred = net.apply(variables, context, CONTEXT_IDS, TARGET_IDS)
  p = variables["params"]
  x = p["mask_token"] + posemb.sincos_2d(8, GRID)[TARGET_IDS]
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  x = x * p["norm"]["scale"] + p["norm"]["bias"]
  expected = x @ p["proj"]["kernel"] + p["proj"]["bias"]
  assert pred.dtype == jnp.float32
  np.testing.assert_allclose(pred, expected, atol=1e-5)


def test_what_matters_is_where_tokens_are_not_their_order(fill, context):
  net = model(1)
  variables = fill(net, context, CONTEXT_IDS, TARGET_IDS)
  run = jax.jit(net.apply)
  pred = run(variables, context, CONTEXT_IDS, TARGET_IDS)
  order = np.array([2, 0, 1])
  moved = run(
    variables, context[:, order], CONTEXT_IDS[:, order], TARGET_IDS[:, ::-1]
  )
  np.testing.assert_allclose(moved, pred[:, ::-1], atol=1e-5)
  elsewhere = run(variables, context, CONTEXT_IDS[:, order], TARGET_IDS)
  assert np.abs(elsewhere - pred).max() > 1e-3


def test_padding_is_not_attended_to(fill, context):
  net = model(1)
  variables = fill(net, context, CONTEXT_IDS, TARGET_IDS)
  valid = np.array([[True, True, False, True, True]] * 2)
  padded = net.apply(variables, context, CONTEXT_IDS, TARGET_IDS, valid)
  shorter = net.apply(variables, context[:, :2], CONTEXT_IDS[:, :2], TARGET_IDS)
  np.testing.assert_allclose(padded, shorter, atol=1e-5)
