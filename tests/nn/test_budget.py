"""Static budgets compute what the exact number of tokens computes."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.nn import budget

N = 16


class Given(mae.MAE):
  """MAE of a mask that may be given, as `mim.lmd` makes it."""

  def mask(self, draws):
    return draws["mask"] if "mask" in draws else super().mask(draws)


TINY = Given.tiny()
RNG = np.random.default_rng(0)
BATCH = {"image": RNG.normal(size=(3, 16, 16, 3)).astype(np.float32)}
NOISE = RNG.random((3, N), np.float32)


# Which budgets.


def wasted(counts, budgets):
  chosen = np.asarray(budgets)[np.searchsorted(budgets, counts)]
  return int((chosen - counts).sum())


@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_no_other_budgets_waste_fewer_tokens(most):
  rng = np.random.default_rng(most)
  counts = rng.choice(
    [3, 4, 7, 8, 12, 13], 40, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
  )
  found = budget.levels(counts, most)
  assert list(found) == sorted(set(found)) and len(found) <= most
  assert found[-1] == counts.max()
  values = np.unique(counts)
  others = itertools.combinations(values, min(most, len(values)))
  least = min(wasted(counts, o) for o in others if o[-1] == counts.max())
  assert wasted(counts, found) == least


def test_enough_budgets_waste_nothing_and_one_holds_all():
  counts = [5, 2, 9, 9, 2]
  assert budget.levels(counts, 3) == budget.levels(counts, 9) == (2, 5, 9)
  assert budget.levels(counts, 1) == (9,)
  assert budget.levels([4] * 7, 6) == (4,)


def test_without_counts_or_budgets_there_is_an_error():
  for counts, most in (([], 2), ([3], 0)):
    with pytest.raises(ValueError, match="counts of tokens"):
      budget.levels(counts, most)


# Counts.


def test_the_count_is_that_of_the_step_and_the_last_one_afterwards():
  counts = [9, 9, 7, 7, 7, 8, 3]
  found = jax.vmap(lambda step: budget.at(counts, step))(jnp.arange(10))
  np.testing.assert_array_equal(found, [*counts, 3, 3, 3])
  assert budget.at([4, 4, 4], jnp.int32(1)) == 4
  assert isinstance(budget.at([4, 4, 4], jnp.int32(1)), int)


def test_a_long_schedule_is_a_short_table():
  counts = np.repeat([9, 5, 2], 1000)
  jaxpr = jax.make_jaxpr(lambda step: budget.at(counts, step))(0)
  assert max(np.size(c) for c in jaxpr.consts) <= 3


# Masks.


@pytest.mark.parametrize("count", [0, 3, 8])
def test_a_split_hides_what_the_exact_count_hides(count):
  exact = masking.from_scores(NOISE, count)
  mask, valid = jax.jit(budget.split, static_argnums=2)(NOISE, count, 8)
  np.testing.assert_array_equal(mask.mask, exact.mask)
  np.testing.assert_array_equal(mask.restore, exact.restore)
  np.testing.assert_array_equal(mask.keep[:, :count], exact.keep)
  np.testing.assert_array_equal(valid, np.arange(8) < np.full((3, 1), count))


def test_the_split_of_a_static_count_has_nothing_to_fill_up():
  mask, valid = budget.split(NOISE, 8, 8)
  assert valid is None
  for found, exact in zip(mask, masking.from_scores(NOISE, 8), strict=True):
    np.testing.assert_array_equal(found, exact)
  assert budget.split(NOISE, 5, 8)[1] is not None


# Networks.


@pytest.fixture(scope="module")
def params(fill):
  return fill(TINY, BATCH, seed=2, scale=0.2)[0]


def exact_loss(params, count):
  """Of MAE with that many visible tokens."""
  m = dataclasses.replace(TINY, mask_ratio=1 - count / N)
  assert m.mask({"noise": NOISE}).keep.shape[1] == count
  return m.loss(methods.Weights(params), BATCH, {"noise": NOISE}, 0)[0]


def make(budgets):
  """(params, count) -> (loss, aux) and its gradient, jitted."""

  def branch(k, params, given):
    batch, noise, count = given
    mask, valid = budget.split(noise, count, k)
    out = TINY.forward(params, batch, {"mask": mask}, valid=valid)
    return TINY.reconstruction_loss(out, batch), {"budget": jnp.int32(k)}

  def loss(params, count):
    return budget.loss(
      branch, params, (BATCH, NOISE, count), budgets=budgets, count=count
    )

  return loss


def test_loss_and_gradient_are_those_of_exactly_so_many_tokens(params):
  """One trace for all counts; the smallest budget that holds them."""
  traces, loss = [], make((3, 6, 12))

  def counted(params, count):
    traces.append(1)
    return loss(params, count)

  step = jax.jit(jax.value_and_grad(counted, has_aux=True))
  for count, chosen in ((2, 3), (3, 3), (4, 6), (11, 12)):
    (found, aux), grads = step(params, count)
    assert int(aux["budget"]) == chosen
    exact = jax.jit(jax.value_and_grad(lambda p, k=count: exact_loss(p, k)))
    expected, wanted = exact(params)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for a, b in zip(
      jax.tree.leaves(grads), jax.tree.leaves(wanted), strict=True
    ):
      np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max() + 1e-7)
  assert len(traces) == 1


def test_without_a_gradient_none_is_computed(params):
  loss = make((3, 6))
  plain = str(jax.make_jaxpr(lambda k: loss(params, k))(3))
  graded = str(jax.make_jaxpr(jax.grad(lambda p: loss(p, 3)[0]))(params))
  assert 2 * plain.count("dot_general") <= graded.count("dot_general")
  found, _ = jax.jit(loss)(params, 5)
  np.testing.assert_allclose(found, exact_loss(params, 5), rtol=1e-5)


def test_the_gradient_is_scaled_by_what_follows(params):
  loss = make((3, 6))
  one, three = (
    jax.jit(jax.grad(lambda p, s=s: s * loss(p, 4)[0]))(params) for s in (1, 3)
  )
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(three), strict=True):
    np.testing.assert_allclose(3 * a, b, rtol=1e-6)


def test_nothing_but_parameters_passes_between_the_passes(params):
  """No branch writes zeros for the activations of the others."""
  loss = make((3, 6, 12))
  graded = jax.jit(jax.grad(lambda p, k: loss(p, k)[0])).trace(params, 4)
  (cond,) = (e for e in graded.jaxpr.eqns if e.primitive.name == "cond")
  leaves = len(jax.tree.leaves(params))
  assert len(cond.outvars) == leaves + 2  # the loss, and what aux holds


def test_one_budget_is_no_switch(params):
  loss = make((4,))
  text = str(jax.make_jaxpr(lambda p: loss(p, 4))(params))
  assert "cond[" not in text and "custom_vjp" not in text
  found, _ = jax.jit(lambda p: loss(p, 4))(params)
  expected = jax.jit(lambda p: exact_loss(p, 4))(params)
  np.testing.assert_array_equal(found, expected)
