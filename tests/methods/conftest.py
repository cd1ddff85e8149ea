import numpy as np
import pytest


@pytest.fixture(scope="session")
def normal():
  """Standard normal float32 arrays, made by numpy."""

  def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

  return draw
