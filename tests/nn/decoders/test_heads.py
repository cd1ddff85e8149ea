import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.parametrize("pool", heads.MEAN_MAX)
def test_a_cloud_head_is_of_a_set_and_reads_mean_and_maximum(normal, pool):
  net, x = heads.CloudHead(classes=5, hidden=8, pool=pool), normal(3, 6, 4)
  variables = net.init(jax.random.key(0), x, train=False)
  run = lambda x: net.apply(variables, x, train=False)
  np.testing.assert_allclose(run(x[:, ::-1]), run(x), atol=1e-5)
  hidden = variables["params"]["hidden1"]["before"]["kernel"]
  assert hidden.shape == ((4 if pool == "sum" else 8), 8)
  # Another maximum with the same mean is another cloud.
  moved = x.copy()
  moved[:, 0] += 9
  moved[:, 1] -= 9
  assert np.abs(run(moved) - run(x)).max() > 1e-3


def test_a_cloud_head_drops_where_there_are_keys(normal):
  net, x = heads.CloudHead(classes=5, hidden=8), normal(3, 6, 4)
  variables = net.init(jax.random.key(0), x, train=False)
  keys = jnp.asarray([[1, 2], [3, 4], [5, 6]], jnp.uint32)
  plain = net.apply(variables, x, train=False)
  dropped = net.apply(variables, x, train=False, keys=keys)
  assert np.abs(dropped - plain).max(1).min() > 1e-4
