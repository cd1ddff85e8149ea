"""Randomness of every method: a function of key and step, nothing shared.

`--method=my_lab.denoise` checks another one instead.
"""

import itertools

import chex
import harness
import jax
import numpy as np
import pytest

from jmim.core import discovery
from jmim.core import tree as trees
from jmim.training import microbatch

pytestmark = pytest.mark.always
NUMBERS = 16  # of each leaf are compared; also the batch


@pytest.fixture(scope="module")
def drawn(name):
  """(method, batch, its draws as a compiled function of key and batch)."""
  method = discovery.find(name).tiny()
  batch = harness.make_batch(method, batch=NUMBERS)
  # New functions, hence traced twice: numbers of NumPy would be constants.
  with jax.debug_key_reuse(True):
    programs = [
      jax.jit(lambda key, batch: method.drawn(key, batch, 3)).lower(
        jax.random.key(5), batch
      )
      for _ in range(2)
    ]
  first, second = (program.as_text() for program in programs)
  assert first == second
  return method, batch, programs[0].compile()


def test_draw_depends_on_key_and_step_only(drawn):
  method, batch, draw = drawn
  other = harness.make_batch(method, seed=1, batch=NUMBERS)
  key = jax.random.key(5)
  first = draw(key, batch)
  chex.assert_trees_all_equal(first, draw(key, batch))
  chex.assert_trees_all_equal(first, draw(key, other))
  if jax.tree.leaves(first):
    moved = draw(jax.random.key(6), batch)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), first, moved)
    assert not all(jax.tree.leaves(same))


def test_no_two_draws_are_made_of_the_same_numbers(drawn):
  """Not the same, nor a monotone image: no two leaves are in one order."""
  method, batch, draw = drawn
  draws = jax.device_get(draw(jax.random.key(5), batch))
  microbatch.check(draws, NUMBERS, method.shared)
  assert alike(draws) == []


def alike(draws):
  """Pairs of leaves whose first numbers are in the same (or reverse) order.

  Equal numbers are, affine images of them are, and so is what any monotone
  function makes of them (the logit-normal times of a flow, say).
  """
  orders = {}
  for leaf_name, leaf in trees.named(draws).items():
    first = np.ravel(leaf)[:NUMBERS]
    if len(np.unique(first)) == NUMBERS:
      orders[leaf_name] = np.argsort(first)
  return [
    (a, b)
    for a, b in itertools.combinations(orders, 2)
    if (orders[a] == orders[b]).all() or (orders[a] == orders[b][::-1]).all()
  ]


def test_draws_that_share_their_numbers_are_seen():
  key = jax.random.key(0)
  x = jax.random.normal(key, (16, 4))
  y = jax.random.normal(jax.random.split(key, 3)[1], (16, 4))
  again = jax.random.normal(jax.random.fold_in(key, 1), (16, 4))
  time = jax.nn.sigmoid(x.ravel()[:16])
  assert alike({"x": x, "y": y}) == []
  assert alike({"y": y, "again": again}) == [("again", "y")]
  assert alike({"x": x, "time": time, "y": y}) == [("time", "x")]
  assert alike({"x": x, "y": 3 - 2 * x}) == [("x", "y")]
