import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import small_image
from jmim.nn import resize
from jmim.nn.nets import rrdb

PART = small_image.SmallImage(
  dims=rrdb.Dims(width=4, growth=3, blocks=5), path="W", scale=2.0
)


def test_a_residual_and_back_where_it_is_not_clipped(normal):
  u = normal(2, 4, 4, 3)
  x = u + np.clip(0.3 * normal(2, 4, 4, 3, seed=1), -0.5, 0.5)
  found = PART.residual(x, u)
  np.testing.assert_allclose(found, 2 * (x - u), atol=1e-6)
  np.testing.assert_allclose(PART.completed(found, u), x, atol=1e-6)
  np.testing.assert_array_equal(PART.residual(u + 3, u), 1)
  np.testing.assert_array_equal(PART.completed(found + 9, u), u + 0.5)
  free = dataclasses.replace(PART, clip=False)
  np.testing.assert_allclose(free.residual(u + 3, u), 6, atol=1e-5)
  np.testing.assert_allclose(free.completed(found + 9, u), x + 4.5, atol=1e-5)


def test_what_is_seen_are_the_third_and_the_sixth_map(normal):
  const = PART.consts(2, (8, 8, 3))["rrdb"]
  assert (const.path, const.key) == ("W", "method.small.path")
  assert const.agrees["degraded.factor"][1] == 2
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  rng = np.random.default_rng(0)
  held = jax.tree.map(
    lambda x: (0.2 * rng.normal(size=x.shape)).astype(np.float32), shapes
  )
  x = np.clip(normal(2, 4, 4, 3), -1, 1)

  @jax.jit
  def both(held):
    weights = methods.Weights({}, consts={"rrdb": held})
    _, maps = PART.net(2, 3).apply({"params": held}, x)
    return PART.seen(weights, x, 2), maps

  seen, maps = both(held)
  assert seen.shape[-1] == PART.depth == 8
  np.testing.assert_allclose(seen[..., :4], maps[2], atol=1e-6)
  np.testing.assert_allclose(seen[..., 4:], maps[5], atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarged_is_matlab_s_bicubic(factor, normal):
  x = normal(1, 4, 6, 2)
  found = PART.enlarged(x, factor)
  assert found.shape == (1, 4 * factor, 6 * factor, 2)
  rows = resize.matlab_matrix(4, 4 * factor)
  columns = resize.matlab_matrix(6, 6 * factor)
  wanted = np.einsum("yh,xw,bhwc->byxc", rows, columns, x)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
