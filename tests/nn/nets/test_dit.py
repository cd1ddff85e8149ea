import functools

import jax
import numpy as np
import pytest

from jmim.masks import tokens as masking
from jmim.nn import sizes
from jmim.nn.nets import dit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
T, LABEL = np.array([3.0, 700.0]), np.array([0, 2])
SIZE = sizes.Size(width=16, depth=2, heads=2)
BODY = dict(size=SIZE, patch=2, grid=(4, 4), classes=3)
PLAIN = dit.DiT(**BODY, out=6)
MASKED = dit.MaskedDiT(**BODY, decoder_depth=1, channels=3)


@functools.cache
def zeros(net):
  return jax.jit(net.init)(jax.random.key(0), X, T, LABEL)


def test_the_prediction_starts_at_zero_and_the_blocks_at_the_identity():
  apply = functools.partial(PLAIN.apply, taps=("block",))
  out = jax.jit(apply)(zeros(PLAIN), X, T, LABEL)
  assert out["pred"].shape == (2, 8, 8, 6)
  assert not np.asarray(out["pred"]).any()
  np.testing.assert_array_equal(*out["block"])


def test_without_attention_across_patches_nothing_but_the_condition_mixes(fill):
  """Positions are fixed: equal patches differ by their place alone."""
  variables = fill(PLAIN, X, T, LABEL)
  apply = jax.jit(lambda x: PLAIN.apply(variables, x, T, LABEL)["pred"])
  same = np.ones_like(X)
  found = np.asarray(apply(same)).reshape(2, 4, 2, 4, 2, 6)
  patches = found.transpose(0, 1, 3, 2, 4, 5).reshape(2, 16, -1)
  distance = np.abs(patches[:, :, None] - patches[:, None]).max(-1)
  assert (distance[0] + np.eye(16)).min() > 1e-4


@pytest.mark.parametrize("adaln", [True, False])
def test_hidden_patches_do_not_reach_the_masked_network(fill, adaln):
  net = dit.MaskedDiT(**BODY, decoder_depth=1, channels=3, adaln=adaln)
  mask = masking.from_scores(RNG.random((2, 16)).astype(np.float32), 6)
  variables = fill(net, X, T, LABEL, mask)
  apply = jax.jit(lambda x: net.apply(variables, x, T, LABEL, mask))
  out = apply(X)
  hidden = np.asarray(out["hidden"])
  assert hidden.mean() == 10 / 16
  other = apply(np.where(hidden > 0, 9.0, X))
  for name in ("x0", "eps", "pre_logits"):
    np.testing.assert_array_equal(out[name], other[name])
  seen = apply(np.where(hidden > 0, X, X + 0.5))
  assert np.abs(seen["x0"] - out["x0"]).max() > 1e-4


def test_class_tokens_that_start_equal_stay_equal():
  params = zeros(MASKED)["params"]
  assert not np.asarray(params["cls_token"]).any()
  grad = jax.jit(
    jax.grad(
      lambda p: (MASKED.apply({"params": p}, X, T, LABEL)["x0"] ** 2).sum()
    )
  )(params)["cls_token"]
  np.testing.assert_allclose(grad[0, 1:], grad[0, :-1], rtol=1e-4, atol=1e-6)
