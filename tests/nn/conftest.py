import jax
import numpy as np
import pytest


@pytest.fixture(scope="session")
def fill():
  """Variables of a module, every leaf normal: no bias or scale is trivial.

  Nothing is compiled for it, unlike for `module.init`.
  """

  def variables(module, *args, seed=0, scale=0.3, **kwargs):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(
      lambda key: module.init(key, *args, **kwargs), jax.random.key(0)
    )
    return jax.tree.map(
      lambda s: (scale * rng.normal(size=s.shape)).astype(s.dtype), shapes
    )

  return variables


@pytest.fixture(scope="session")
def normal():
  """Standard normal float32 arrays, made by numpy."""

  def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

  return draw
