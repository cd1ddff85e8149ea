import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import batchnorm
from jmim.nn.decoders import heads


def _norm(p, x):
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  return x * p["scale"] + p["bias"]


def test_the_mean_pool_head_by_hand(fill, normal):
  net, x = heads.MeanPoolHead(5), normal(2, 6, 8)
  variables = fill(net, x)
  p = variables["params"]
  pooled = _norm(p["fc_norm"], x.mean(1))
  expected = pooled @ p["head"]["kernel"] + p["head"]["bias"]
  np.testing.assert_allclose(net.apply(variables, x), expected, atol=1e-5)


def test_a_head_starts_close_to_0(normal):
  x = normal(2, 6, 8)
  params = heads.MeanPoolHead(500).init(jax.random.key(0), x)["params"]
  std = params["head"]["kernel"].std()
  np.testing.assert_allclose(std, 2e-5, rtol=0.1)
  assert not params["head"]["bias"].any()


def test_the_attentive_pool_is_a_set_function(fill, normal):
  net, x = heads.AttentivePool(classes=5, heads=2), normal(2, 6, 8)
  variables = fill(net, x)
  run = jax.jit(net.apply)
  logits = run(variables, x)
  assert logits.shape == (2, 5) and logits.dtype == jnp.float32
  np.testing.assert_allclose(run(variables, x[:, ::-1]), logits, atol=1e-5)
  # Repeating every token changes no weighted mean.
  twice = np.concatenate([x, x], axis=1)
  np.testing.assert_allclose(run(variables, twice), logits, atol=1e-5)
  assert np.abs(run(variables, x**2) - logits).max() > 1e-3


def test_one_token_is_all_there_is_to_attend_to(fill, normal):
  """Its value, whatever the query, plus the query; then MLP and head."""
  net, x = heads.AttentivePool(classes=3, heads=1), normal(1, 1, 4)
  variables = fill(net, x)
  p = variables["params"]
  flat = jax.tree.map(np.zeros_like, p["mlp"])
  params = {**p, "mlp": flat}
  affine = lambda p, x: x @ p["kernel"] + p["bias"]
  value = affine(p["cross"]["v"], _norm(p["norm1"], x[:, 0]))
  y = p["query"][0] + affine(p["cross"]["proj"], value)
  expected = affine(p["head"], y)
  actual = net.apply({"params": params}, x)
  np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_is_the_share_of_the_batch(normal, momentum):
  x = normal(5, 3)
  _, mean, _ = batchnorm.batch_norm(
    x, np.zeros(3), np.ones(3), train=True, momentum=momentum
  )
  np.testing.assert_allclose(mean, momentum * x.mean(0), atol=1e-6)
