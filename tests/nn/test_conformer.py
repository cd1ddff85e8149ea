"""The Conformer against a loop over distances, and its form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import batchnorm
from jmim.nn import conformer

DIMS = conformer.Dims(width=8, heads=2, hidden=12, kernel=3, dropout=0.0)
X = np.random.default_rng(0).normal(size=(2, 7, 8)).astype(np.float32)


def sinusoid(distance, width=8):
  """ESPnet's: sines at even places, cosines at odd ones."""
  k = np.arange(width // 2)
  angle = distance * 10000.0 ** (-2 * k / width)
  return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(-1)


def attended(p, x):
  """[b, t, w] as Dai et al. write it, place by place."""
  dense = lambda name, y: y @ p[name]["kernel"] + p[name].get("bias", 0.0)
  heads = lambda y: y.reshape(*y.shape[:-1], 2, 4)
  q, k, v = (heads(dense(name, x)) for name in "qkv")
  b, t = x.shape[:2]
  logits = np.zeros((b, 2, t, t))
  for i in range(t):
    for j in range(t):
      far = heads(dense("position", sinusoid(i - j)))
      both = (q[:, i] + p["to_key"]) * k[:, j] + (q[:, i] + p["to_far"]) * far
      logits[:, :, i, j] = both.sum(-1) / 2
  share = np.exp(logits - logits.max(-1, keepdims=True))
  share /= share.sum(-1, keepdims=True)
  y = np.einsum("bhij,bjhd->bihd", share, v).reshape(x.shape)
  return dense("proj", y)


def test_attention_is_that_of_distances(fill):
  net = conformer.RelativeAttention(heads=2)
  variables = fill(net, X)
  np.testing.assert_allclose(
    jax.jit(net.apply)(variables, X),
    attended(variables["params"], X),
    atol=1e-5,
  )


def layer_norm(p, x):
  y = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
  return y * p["scale"] + p["bias"]


def block(p, statistics, x):
  """A block by hand, in evaluation."""
  dense = lambda name, y: y @ p[name]["kernel"] + p[name]["bias"]
  swish = lambda y: y / (1 + np.exp(-y))
  mlp = lambda n, y: dense(f"{n}_fc2", swish(dense(f"{n}_fc1", y)))
  x = layer_norm(p["norm_macaron"], x + mlp("macaron", x) / 2)
  x = layer_norm(p["norm_attention"], x + attended(p["attention"], x))
  c = p["convolution"]
  y = x @ c["expand"]["kernel"] + c["expand"]["bias"]
  y = y[..., :8] / (1 + np.exp(-y[..., 8:]))
  wide = np.pad(y, [(0, 0), (1, 1), (0, 0)])
  kernel = c["depthwise"]["kernel"][:, 0]
  y = sum(wide[:, i : i + 7] * kernel[i] for i in range(3))
  seen = statistics["convolution"]["bn"]
  y = (y - seen["mean"]) / np.sqrt(seen["var"] + 1e-5)
  y = swish(y * c["bn"]["scale"] + c["bn"]["bias"])
  y = y @ c["proj"]["kernel"] + c["proj"]["bias"]
  x = layer_norm(p["norm_convolution"], x + y)
  x = layer_norm(p["norm_mlp"], x + mlp("mlp", x) / 2)
  return layer_norm(p["norm_out"], x)


def test_blocks_are_normalised_behind_every_branch(fill):
  net = conformer.Conformer(dims=DIMS, depth=2)
  variables = fill(net, X, None, False)
  statistics = jax.tree.map(np.abs, variables[batchnorm.STATISTICS])
  variables = variables | {batchnorm.STATISTICS: statistics}
  want = X * 8**0.5
  for i in range(2):
    name = f"block_{i}"
    want = block(variables["params"][name], statistics[name], want)
  found = jax.jit(net.apply, static_argnums=3)(variables, X, None, False)
  np.testing.assert_allclose(found, want, atol=2e-4)


def test_dropout_belongs_to_examples(fill):
  net = conformer.Conformer(
    dims=conformer.Dims(**vars(DIMS) | {"dropout": 0.5}), depth=1
  )
  variables = fill(net, X, None, False)
  statistics = jax.tree.map(np.abs, variables[batchnorm.STATISTICS])
  variables = variables | {batchnorm.STATISTICS: statistics}
  keys = jnp.arange(4, dtype=jnp.uint32).reshape(2, 2)
  run = jax.jit(net.apply, static_argnums=3)
  both = run(variables, X, keys, False)
  np.testing.assert_allclose(
    run(variables, X[1:], keys[1:], False), both[1:], atol=1e-5
  )
  assert np.abs(both - run(variables, X, None, False)).max() > 0.1


def test_sizes_that_do_not_fit():
  for wrong in (dict(width=9), dict(heads=3), dict(kernel=4)):
    with pytest.raises(ValueError, match=r"width|kernel"):
      conformer.Dims(**vars(DIMS) | wrong).check()
  DIMS.check()
