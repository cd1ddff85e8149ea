import jax
import numpy as np
import pytest

from jmim.nn import dropout
from jmim.nn import heatmaps
from jmim.nn.nets import joint_encoder

B, J, K = 3, 4, 5
DIMS = joint_encoder.Dims(
  channels=4, depth=2, heads=2, hidden=12, condition=3, dropout=0.5
)
NET = joint_encoder.JointEncoder(joints=J, dims=DIMS)


@pytest.fixture
def given():
  rng = np.random.default_rng(0)
  places = rng.uniform(-1, 1, (B, J, K, 2)).astype(np.float32)
  return places, rng.normal(size=(B, J, K)).astype(np.float32)


def test_without_blocks_it_is_a_sum_over_candidates(fill, given):
  """The map of every code before the sum, as the authors' code has it."""
  dims = joint_encoder.Dims(channels=4, depth=0, heads=2, condition=3)
  net = joint_encoder.JointEncoder(joints=J, dims=dims)
  variables = fill(net, *given)
  p = jax.tree.map(np.float64, variables["params"])
  places, likelihood = given
  codes = np.asarray(heatmaps.channel_code(places, 4)).reshape(B, J, K, 8)
  each = codes * likelihood[..., None] @ p["project"]["kernel"]
  tokens = (each + p["project"]["bias"]).sum(2) + p["joint_embed"]
  wanted = tokens.reshape(B, -1) @ p["out"]["kernel"] + p["out"]["bias"]
  np.testing.assert_allclose(net.apply(variables, *given), wanted, atol=1e-4)


def test_the_order_of_candidates_does_not_matter(fill, given):
  variables = fill(NET, *given)
  order = np.random.default_rng(1).permutation(K)
  moved = [x[:, :, order] for x in given]
  found, other = (NET.apply(variables, *x) for x in (given, moved))
  np.testing.assert_allclose(found, other, atol=1e-5)
  places, likelihood = given
  weighed = NET.apply(variables, places, likelihood[:, :, order])
  assert np.abs(np.asarray(found - weighed)).max() > 1e-3


def test_of_a_dropped_joint_only_its_number_is_known(fill, given):
  variables = fill(NET, *given)
  kept = np.ones((B, J), np.float32)
  np.testing.assert_allclose(
    NET.apply(variables, *given, kept), NET.apply(variables, *given), atol=1e-6
  )
  kept[:, 1] = 0
  places, likelihood = (x.copy() for x in given)
  places[:, 1], likelihood[:, 1] = 0.3, 2.0
  found = NET.apply(variables, *given, kept)
  other = NET.apply(variables, places, likelihood, kept)
  np.testing.assert_allclose(found, other, atol=1e-6)


def test_dropout_belongs_to_an_example(fill, given):
  variables = fill(NET, *given)
  keys = dropout.draw(jax.random.key(0), 0.5, B)["dropout"]
  still = NET.apply(variables, *given)
  found = NET.apply(variables, *given, keys=keys)
  assert np.abs(np.asarray(found - still)).max() > 1e-2
  last = [x[1:] for x in given]
  np.testing.assert_allclose(
    NET.apply(variables, *last, keys=keys[1:]), found[1:], atol=1e-5
  )


def test_heads_must_divide_a_token():
  with pytest.raises(ValueError, match="condition.channels 5.*heads 4"):
    joint_encoder.Dims(channels=5, heads=4).check("condition")
  DIMS.check("condition")
