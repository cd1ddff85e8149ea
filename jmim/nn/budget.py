"""A network on a number of tokens that depends on the step, in one trace.

A compiled program has static shapes, so it holds the network a few times, for
static budgets K_1 < ... < K_m of tokens, and a step with k visible tokens runs
the one of the smallest K_j >= k (`lax.switch`): its cost falls with k. What the
K_j - k tokens too many hold reaches nothing: they are marked as not `valid`,
nothing attends to them, and the result is that of exactly k tokens (up to
rounding: other shapes add in another order). Where all steps have the same
count there is one budget and no switch, and the program is that of the static
count, bit for bit.

Letters: b batch, n tokens, k visible ones, m budgets.
"""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.masks import tokens as masking

Tree = Any
Count = int | jax.Array


def levels(counts: Sequence[int], most: int) -> tuple[int, ...]:
  """Budgets under which the fewest tokens are computed in vain.

  Args:
    counts: visible tokens of each step, in any order; repeats count.
    most: how many budgets there may be: one program of the network each.

  Returns:
    at most `most` of the counts, rising; the last is the largest.

  Raises:
    ValueError: no counts, or no budget.
  """
  values, times = np.unique(np.asarray(counts), return_counts=True)
  if not values.size or most < 1:
    raise ValueError(f"{values.size} counts of tokens, {most} budgets")
  steps, tokens = (
    np.concatenate([[0], np.cumsum(x)]) for x in (times, times * values)
  )

  def waste(i: int, j: int) -> int:
    """Tokens in vain where values[i:j] all run with the last of them."""
    return int((steps[j] - steps[i]) * values[j - 1] - (tokens[j] - tokens[i]))

  # best[j]: the least for values[:j] with the budgets that are there so far.
  best = {0: (0, ())}
  for _ in range(min(most, values.size)):
    best = {0: (0, ())} | {
      j: min(
        (lost + waste(i, j), (*chosen, int(values[j - 1])))
        for i, (lost, chosen) in best.items()
        if i < j
      )
      for j in range(1, values.size + 1)
    }
  return best[values.size][1]


def at(counts: Sequence[int], step: Count) -> Count:
  """counts[step], the last one from there on.

  Args:
    counts: visible tokens of each step, from 0 on.
    step: may be traced.

  Returns:
    an int where all are equal; else an int32 scalar. The program holds one
    number per change, not one per step.
  """
  counts = np.asarray(counts)
  starts = np.flatnonzero(np.diff(counts, prepend=counts[0] - 1))
  if len(starts) == 1:
    return int(counts[0])
  now = jnp.searchsorted(jnp.asarray(starts), step, side="right") - 1
  return jnp.asarray(counts[starts], jnp.int32)[now]


def split(
  scores: jax.Array, count: Count, budget: int
) -> tuple[masking.Mask, jax.Array | None]:
  """As `masking.from_scores`, of a count that may be traced.

  Args:
    scores: [b, n]; the `count` smallest are visible, in ascending order.
    count: at most the budget.
    budget: tokens that are gathered, a Python int.

  Returns:
    the mask, whose keep is [b, budget], and valid [b, budget]: False for those
    gathered in vain; None where the count is the budget, an int.
  """
  mask = masking.from_scores(scores, budget)
  if isinstance(count, int) and count == budget:
    return mask, None
  hidden = (mask.restore >= count).astype(jnp.float32)
  valid = jnp.broadcast_to(jnp.arange(budget) < count, mask.keep.shape)
  return mask._replace(mask=hidden), valid


def loss(
  branch: Callable[..., tuple[jax.Array, Tree]],
  params: Tree,
  given: Tree,
  *,
  budgets: Sequence[int],
  count: Count,
) -> tuple[jax.Array, Tree]:
  """branch(budget, params, given) with the smallest budget that holds a count.

  It can be differentiated once, in reverse, with respect to `params` only: the
  forward pass computes the gradient as well, inside the same branch. Otherwise
  what each branch keeps for the backward pass would have to exist in all of
  them, and zeros of the size of all activations would be written in each step.

  Args:
    branch: (budget, params, given) -> (float32 scalar, aux); it closes over no
      array. `aux` has no gradient, and is of the same shapes for all budgets.
    params: what is differentiated.
    given: a tree of arrays; no gradient.
    budgets: rising, as of `levels`.
    count: at most the last budget; may be traced.

  Returns:
    (scalar, aux).
  """
  if len(budgets) == 1:
    return branch(budgets[0], params, given)
  cases = [functools.partial(branch, budget) for budget in budgets]
  graded = [jax.value_and_grad(case, has_aux=True) for case in cases]

  @jax.custom_vjp
  def chosen(params, index, given):
    return jax.lax.switch(index, cases, params, given)

  def forward(params, index, given):
    return jax.lax.switch(index, graded, params, given)

  def backward(grads, cotangents):
    scale = cotangents[0]
    return jax.tree.map(lambda g: scale * g, grads), None, None

  chosen.defvjp(forward, backward)
  index = jnp.searchsorted(jnp.asarray(budgets), count)
  return chosen(params, index, given)
