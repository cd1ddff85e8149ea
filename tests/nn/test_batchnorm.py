"""Batch normalisation, and layers that keep its statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import batchnorm


def test_batch_norm_uses_biased_and_records_unbiased_variances(normal):
  x, mean, var = 3 + 2 * normal(5, 4), np.ones(4), 2 * np.ones(4)
  y, new_mean, new_var = batchnorm.batch_norm(x, mean, var, train=True)
  expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6)
  np.testing.assert_allclose(y, expected, atol=1e-5)
  np.testing.assert_allclose(new_mean, 0.9 + 0.1 * x.mean(0), rtol=1e-5)
  np.testing.assert_allclose(new_var, 1.8 + 0.1 * x.var(0, ddof=1), rtol=1e-5)


def test_batch_norm_evaluates_with_what_was_recorded(normal):
  x, mean, var = normal(5, 4), 0.5 * np.ones(4), 4 * np.ones(4)
  y, same_mean, same_var = batchnorm.batch_norm(x, mean, var, train=False)
  np.testing.assert_allclose(y, (x - 0.5) / 2, atol=1e-5)
  assert same_mean is mean and same_var is var


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_is_the_share_of_the_batch(normal, momentum):
  x = normal(5, 3)
  _, mean, _ = batchnorm.batch_norm(
    x, np.zeros(3), np.ones(3), train=True, momentum=momentum
  )
  np.testing.assert_allclose(mean, momentum * x.mean(0), atol=1e-6)


def made(x):
  net = batchnorm.Normed(features=4)
  variables = net.init(jax.random.key(0), x, train=False)
  return net, variables["params"], variables[batchnorm.STATISTICS]


def test_a_layer_normalises_over_all_but_the_last_axis(normal):
  x = 3 + normal(5, 6, 3)
  net, params, statistics = made(x)
  params["bn"] = {"scale": 2 * jnp.ones(4), "bias": 5 * jnp.ones(4)}
  y, new = batchnorm.applied(net, params, statistics, x, train=True)
  np.testing.assert_allclose(y.mean((0, 1)), 5, atol=1e-4)
  np.testing.assert_allclose(y.std((0, 1)), 2, atol=1e-3)
  z = x @ params["before"]["kernel"] + params["before"]["bias"]
  np.testing.assert_allclose(new["bn"]["mean"], 0.1 * z.mean((0, 1)), atol=1e-5)
  wanted = 0.9 + 0.1 * z.reshape(-1, 4).var(0, ddof=1)
  np.testing.assert_allclose(new["bn"]["var"], wanted, rtol=1e-4)


def test_evaluation_uses_running_statistics_and_keeps_them(normal):
  x = normal(5, 6, 3)
  net, params, statistics = made(x)
  statistics["bn"]["mean"] += 2.0
  y, same = batchnorm.applied(net, params, statistics, x, train=False)
  one, _ = batchnorm.applied(net, params, statistics, x[:1], train=False)
  np.testing.assert_allclose(y[:1], one, atol=1e-6)  # no other example counts
  assert same is statistics
  z = x @ params["before"]["kernel"] + params["before"]["bias"]
  np.testing.assert_allclose(y, (z - 2) / np.sqrt(1 + 1e-5), atol=1e-5)


def test_the_bias_of_a_map_does_not_move_the_output_in_training(normal):
  x = normal(5, 6, 3)
  net, params, statistics = made(x)
  y, _ = batchnorm.applied(net, params, statistics, x, train=True)
  params["before"]["bias"] += 3.0
  again, _ = batchnorm.applied(net, params, statistics, x, train=True)
  np.testing.assert_allclose(again, y, atol=1e-4)


def test_statistics_travel_in_aux_and_back(normal):
  _, _, statistics = made(normal(5, 6, 3))
  aux = batchnorm.as_aux({"net": statistics}) | {"other": 1.0}
  assert all(np.ndim(v) for k, v in aux.items() if k != "other")
  assert batchnorm.from_aux(aux) == {"net": statistics}
  assert batchnorm.from_aux({"other": 1.0}) == {}
