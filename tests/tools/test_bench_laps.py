import jax.numpy as jnp
import pytest

from jmim.tools import bench_laps

LAPS = [(1.0, 3.0), (2.0, 4.0), (4.0, 4.0)]


def test_programs_take_turns_after_a_run_that_does_not_count():
  asked = []
  made = [lambda i=i: asked.append(i) or jnp.zeros(2) for i in range(3)]
  laps = bench_laps.turns(made, 2)
  assert asked == [0, 1, 2] * 3
  assert len(laps) == 2 and {len(lap) for lap in laps} == {3}
  assert min(map(min, laps)) > 0


def test_medians_are_those_of_neighbours():
  assert bench_laps.seconds(LAPS) == [2.0, 4.0]
  assert bench_laps.ratio(LAPS, 1, 0) == 2.0
  assert bench_laps.ratio(LAPS, 0, 1) == pytest.approx(0.5)
  assert bench_laps.told(LAPS, 1, 0) == "ratio 2.00 (median of 3)"
