"""Parts of a batch, and which draws may be cut into them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.training import microbatch


def test_microbatches_partition_what_is_per_example():
  tree = {"x": jnp.arange(12).reshape(6, 2), "y": jnp.arange(5), "z": 3.0}
  parts = microbatch.split(tree, 3, shared=("y", "z"))
  rows = np.concatenate([p["x"] for p in parts])
  assert sorted(map(tuple, rows.tolist())) == [
    (2 * i, 2 * i + 1) for i in range(6)
  ]
  np.testing.assert_array_equal(parts[1]["x"][:, 0], [2, 8])  # i % 3 == 1
  for p in parts:
    np.testing.assert_array_equal(p["y"], np.arange(5))
    assert p["z"] == 3.0


def test_draws_with_parts_are_cut_leaf_by_leaf():
  tree = {"mask": {"a": jnp.arange(4), "b": jnp.arange(8).reshape(4, 2)}}
  (first, second) = microbatch.split(tree, 2)
  np.testing.assert_array_equal(first["mask"]["a"], [0, 2])
  np.testing.assert_array_equal(second["mask"]["b"], [[2, 3], [6, 7]])


@pytest.mark.parametrize("shape", [(), (5,), (1, 6)])
def test_a_draw_of_another_length_must_be_declared(shape):
  draws = {"noise": jnp.zeros((6, 2)), "pick": jnp.zeros(shape)}
  with pytest.raises(ValueError, match="'pick'.*`shared`"):
    microbatch.check(draws, 6, shared=())
  microbatch.check(draws, 6, shared=("pick",))


def test_the_mean_of_parts_is_that_of_each_part_alone():
  batch, draws = {"a": jnp.arange(6.0)}, {"z": jnp.float32(2.0)}
  compute = lambda x, batch, draws: {"max": x * batch["a"].max() + draws["z"]}
  found = microbatch.averaged(compute, 3, ("z",))(10.0, batch, draws)
  # Parts are (0, 3), (1, 4) and (2, 5).
  assert found == {"max": 10.0 * 4 + 2}
