import dataclasses

import numpy as np
import pytest

from jmim.core import method as methods
from jmim.diffusion import schedule
from jmim.methods.parts import structure
from jmim.nn import structure as maps

PROCESS = schedule.make("cosine", 100)
PART = structure.Structure(regions=4)
TIMES = np.array([0, 50, 90, 99])


def test_weights_are_those_of_the_table():
  """The paper's cosine schedule of 100 times."""
  found = PART.weight(PROCESS, TIMES)
  wanted = [1.586e-5, 0.022786, 0.1869, 0.99900]
  np.testing.assert_allclose(found, wanted, rtol=1e-4)
  plain = dataclasses.replace(PART, weighted=False)
  np.testing.assert_array_equal(plain.weight(PROCESS, TIMES), 1)


def test_noise_of_a_region_is_shifted_by_its_weighted_value(normal):
  """The mean of eps' - eps over region k is w_t v_k, in every channel."""
  ids = np.random.default_rng(0).integers(1, 5, (4, 8, 8))
  eps = normal(4, 8, 8, 3)
  found = PART.modulated(eps, PART.maps({"instance": ids}), TIMES, PROCESS)
  shift, weight = np.asarray(found) - eps, PROCESS.noise * PROCESS.beta
  table = maps.positions(8, 8)
  for b, t in enumerate(TIMES):
    for k in range(1, 5):
      inside = ids[b] == k
      value = weight[t] * (table * inside).sum() / table.size
      mean = shift[b][inside].mean(0)
      np.testing.assert_allclose(mean, value, atol=3e-7)


def test_without_a_map_it_is_the_noise_that_was_drawn(normal):
  eps = normal(4, 4, 4, 3)
  none = dataclasses.replace(PART, read="none")
  assert none.maps({}) is None and none.inputs(4) == {}
  assert none.modulated(eps, None, TIMES, PROCESS) is eps
  zeros = np.zeros((4, 4, 4, 1), np.float32)
  found = PART.modulated(eps, zeros, TIMES, PROCESS)
  np.testing.assert_array_equal(found, eps)


@pytest.mark.parametrize("read, name", [("ids", "instance"), ("stored",) * 2])
def test_what_it_reads_is_what_it_asks_for(read, name):
  name = "structure" if name == "stored" else name
  part = dataclasses.replace(PART, read=read)
  (asked,) = part.inputs(6).items()
  assert asked[0] == name and asked[1].shape == (6, 6)
  assert asked[1].high == (5 if read == "ids" else None)
  batch = {name: np.ones((2, 6, 6), asked[1].dtype)}
  assert part.maps(batch).shape == (2, 6, 6, 1)
  assert isinstance(asked[1], methods.Input)
