import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import mimicry

PART = mimicry.Mimicry()
KEY = jax.random.key(0)
WIDTHS = {"a": 6, "b": 5}


def test_distances_are_mean_squares_by_teacher(normal):
  params = jax.tree.map(np.asarray, PART.init(KEY, 4, WIDTHS))
  f = normal(2, 3, 4)
  targets = {n: normal(2, 3, d, seed=d) for n, d in WIDTHS.items()}
  found = PART.distances(params, f, targets)
  raw = dataclasses.replace(PART, target_norm="none")
  for name, t in targets.items():
    h = f @ params["heads"][name]["out"]["kernel"]
    unit = (t - t.mean(-1, keepdims=True)) / t.std(-1, keepdims=True)
    expected = ((h - unit) ** 2).mean()
    np.testing.assert_allclose(found[name], expected, rtol=1e-4)
    expected = ((h - t) ** 2).mean()
    plain = raw.distances(params, f, targets)[name]
    np.testing.assert_allclose(plain, expected, rtol=1e-5)


def test_fused_layers_are_mapped_and_added(normal):
  part = dataclasses.replace(PART, fuse_layers=(0, -1))
  assert part.taps == ("block",) and PART.taps == ()
  params = jax.tree.map(np.asarray, part.init(KEY, 4, WIDTHS))
  blocks, z = normal(3, 2, 3, 4), normal(2, 3, 4, seed=1)
  kernels = [params["fusion"][i]["out"]["kernel"] for i in "01"]
  expected = blocks[0] @ kernels[0] + blocks[2] @ kernels[1]
  found = part.features(params, jnp.asarray(z), blocks)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  # Nothing fused: the output itself, and no maps that would have no gradient.
  assert PART.features({}, z) is z
  assert PART.init(KEY, 4, WIDTHS).keys() == {"heads"}
  assert part.init(KEY, 4, {}) == {}


@pytest.mark.parametrize("number", [2, -3])
def test_blocks_that_are_not_there_are_named(number):
  part = dataclasses.replace(PART, fuse_layers=(0, number))
  with pytest.raises(ValueError, match=f"k.fuse_layers: {number} of 2"):
    part.check(2, "k")
