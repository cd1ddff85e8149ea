import re

import jax
import numpy as np

from jmim.nn import expert_choice
from jmim.tools import bench_expert_choice

SMALL = expert_choice.ExpertChoice(experts=3, capacity=1.5, hidden=8)


def test_both_forms_are_the_same_layer(fill, normal):
  x = normal(2, 6, 4)
  params = fill(SMALL, x)["params"]
  both = [
    jax.jit(bench_expert_choice.gradient(layer))(params, x)
    for layer in bench_expert_choice.layers(SMALL)
  ]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *both
  )


def test_the_naive_form_has_the_products_that_pick_rows():
  x = jax.ShapeDtypeStruct((2, 6, 4), np.float32)
  one, other = bench_expert_choice.work(SMALL, x)
  # 2 products of [b, e, k, t] with width d, e k = 9 rows.
  assert other - one == 2 * 2 * 2 * 9 * 6 * 4


def test_both_are_timed_in_turn(capsys):
  small = ["--width=8", "--hidden=8", "--experts=2", "--tokens=4"]
  assert bench_expert_choice.main([*small, "--batch=1", "--rounds=2"]) == 0
  said = capsys.readouterr().out
  assert len(re.findall(r"ratio [\d.]+", said)) == 2
