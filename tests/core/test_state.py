"""The state of a run as one pytree."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import state as states
from jmim.core import tree as trees


def _state(**changes):
  zero = jnp.zeros((), jnp.int32)
  plain = states.State(
    step=zero,
    params={"main": {"kernel": jnp.ones((2, 3))}},
    opt={"main": {"mu": jnp.zeros((2, 3))}},
    ema={},
    extra={"count": zero},
    window={"loss": jnp.zeros(())},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )
  return plain.replace(**changes)


def test_names_of_leaves_are_those_of_a_checkpoint():
  assert list(trees.named(_state())) == [
    "step",
    "params/main/kernel",
    "opt/main/mu",
    "extra/count",
    "window/loss",
    "counted",
    "skipped",
    "skipped_total",
  ]


def test_a_compiled_step_takes_and_returns_it_whole():
  after = jax.jit(lambda s: s.replace(step=s.step + 1))(_state())
  assert int(after.step) == 1
  same = jax.tree.map(
    lambda a, b: bool(jnp.all(a == b)), after, _state(step=after.step)
  )
  assert all(jax.tree.leaves(same))


def test_what_is_replaced_does_not_change_the_one_before():
  before = _state()
  before.replace(step=jnp.int32(5), extra={})
  assert int(before.step) == 0 and "count" in before.extra


def test_it_is_made_by_keyword_so_that_no_leaf_takes_the_place_of_another():
  assert all(f.kw_only for f in dataclasses.fields(states.State))
