"""FLOPs of a training step: a product, and what its gradients cost.

By the rule of `cost.flops`. For y = x w (2mnk FLOPs) the backward pass has up
to two products of the same cost: dx = dy w' where x depends on what is trained,
and dw = x' dy where w does. Of a network that is trained as a whole both count,
three times the forward pass (as in Chowdhery et al. 2022, PaLM, appendix B: 6N
per token, of which 2N forward), but in the first layer, whose input is data; of
one that is frozen and passed through, dx alone.

A gradient passes through a product whose result depends on what is trained and
reaches the loss, both along values that can be differentiated: not through a
stop_gradient, not through integers.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.cost import flops

Marks = list[bool]  # one per variable


@dataclasses.dataclass(frozen=True)
class Work:
  """FLOPs of a loss.

  Attributes:
    forward: of all its products.
    backward: of those that its gradient needs beside them.
  """

  forward: int = 0
  backward: int = 0

  def __add__(self, other: "Work") -> "Work":
    return Work(self.forward + other.forward, self.backward + other.backward)

  def __mul__(self, times: int) -> "Work":
    return Work(self.forward * times, self.backward * times)

  def __floordiv__(self, examples: int) -> "Work":
    return Work(self.forward // examples, self.backward // examples)

  @property
  def step(self) -> int:
    """Of a training step."""
    return self.forward + self.backward


def count(fn: Callable[..., Any], trained: Any, *args: Any) -> Work:
  """FLOPs of fn(trained, *args), differentiated with respect to `trained`.

  Args:
    fn: a loss.
    trained: tree of arrays or shapes; nothing is run.
    *args: of the same kind.

  Returns:
    the FLOPs of its products; dead code does not count.
  """
  jaxpr, used = flops.live(fn, trained, *args)
  first = len(jax.tree.leaves(trained))
  marks = [i < first for i, u in enumerate(used) if u]
  return _count(jaxpr, marks, [True] * len(jaxpr.outvars))[0]


def _count(jaxpr: Any, marks: Marks, needed: Marks) -> tuple[Work, Marks]:
  """FLOPs of a jaxpr; which of its outputs depend on what is trained.

  Args:
    jaxpr: its equations are looked through in order.
    marks: which of its inputs depend on what is trained.
    needed: which of its outputs reach the loss.
  """
  total, reach = Work(), _reaching(jaxpr, needed)
  depend = _Set(jaxpr.invars, marks)
  for eqn in jaxpr.eqns:
    ins, outs_needed = depend.of(eqn.invars), reach.of(eqn.outvars)
    outs = [any(ins)] * len(eqn.outvars)
    if cost := flops.product(eqn):
      # A gradient of each side that depends, if the result reaches the loss.
      total += Work(cost, cost * sum(ins) * outs_needed[0])
    elif parts := flops.inner(eqn.params):
      cost, outs = _count_inside(eqn, parts, ins, outs_needed)
      total += cost
    if eqn.primitive.name != "stop_gradient":
      depend.add(eqn.outvars, outs)
  return total, depend.of(jaxpr.outvars)


def _count_inside(
  eqn: Any, parts: list[Any], ins: Marks, needed: Marks
) -> tuple[Work, Marks]:
  """`_count` of an equation that holds other jaxprs.

  A call (jit, remat, custom_vjp) has one jaxpr, run once: remat's second
  forward pass is recomputation and does not count. A scan runs its body
  `length` times. A cond has one jaxpr per branch, of which one runs. A while
  loop has a condition and a body; as the number of its turns is not known
  before it runs, both count once.
  """
  name = eqn.primitive.name
  costs, marks_of = [], []
  for jaxpr in parts:
    marks, outs_needed = flops.inputs(jaxpr, ins), _fit(jaxpr, needed)
    if name == "scan":
      outs_needed = _settle_needed(eqn, jaxpr, outs_needed)
    cost, outs = _count(jaxpr, marks, outs_needed)
    # A carry that a turn marks is marked when the next turn begins: count
    # again until nothing is added, which is the work of a turn in the middle.
    while name == "scan" and (more := _carry(eqn, marks, outs)) != marks:
      marks = more
      cost, outs = _count(jaxpr, marks, outs_needed)
    costs.append(cost)
    marks_of.append(outs)
  if name == "cond":  # the dearest branch; an output is marked by any branch
    dearest = max(costs, key=lambda c: c.step)
    return dearest, [any(m) for m in zip(*marks_of, strict=True)]
  # Of a while loop the body has the outputs of the equation, its condition not.
  outs = [m for m in marks_of if len(m) == len(needed)]
  times = eqn.params["length"] if name == "scan" else 1
  total = sum(costs, Work()) * times
  return total, outs[-1] if outs else [any(ins)] * len(needed)


def _reaching(jaxpr: Any, needed: Marks) -> "_Set":
  """The variables that the needed outputs have a gradient for."""
  reach = _Set(jaxpr.outvars, needed)
  for eqn in reversed(jaxpr.eqns):
    outs = reach.of(eqn.outvars)
    if not any(outs) or eqn.primitive.name == "stop_gradient":
      continue
    ins = [not flops.inner(eqn.params)] * len(eqn.invars)
    for part in flops.inner(eqn.params):
      inner = _fit(part, outs)
      if eqn.primitive.name == "scan":
        inner = _settle_needed(eqn, part, inner)
      below = _reaching(part, inner).of(part.invars)
      below = [False] * (len(ins) - len(below)) + below
      ins = [a or b for a, b in zip(ins, below, strict=True)]
    reach.add(eqn.invars, ins)
  return reach


def _settle_needed(eqn: Any, jaxpr: Any, needed: Marks) -> Marks:
  """Outputs of a scan's turn that are needed, by the turns after it too."""
  start, n = eqn.params["num_consts"], eqn.params["num_carry"]
  while True:
    ins = _reaching(jaxpr, needed).of(jaxpr.invars)[start : start + n]
    more = [a or b for a, b in zip(needed[:n], ins, strict=True)]
    if more == needed[:n]:
      return needed
    needed = more + needed[n:]


def _carry(eqn: Any, marks: Marks, outs: Marks) -> Marks:
  """Marks of the inputs of a scan's next turn."""
  start, n = eqn.params["num_consts"], eqn.params["num_carry"]
  before = marks[start : start + n]
  after = [a or b for a, b in zip(before, outs[:n], strict=True)]
  return marks[:start] + after + marks[start + n :]


def _fit(jaxpr: Any, needed: Marks) -> Marks:
  """Needed outputs of a part of an equation (all, of a loop's condition)."""
  n = len(jaxpr.outvars)
  return needed if len(needed) == n else [any(needed)] * n


class _Set:
  """Marked variables; literals and integers never are."""

  def __init__(self, variables: list[Any], marks: Marks):
    self._marked = set()
    self.add(variables, marks)

  def add(self, variables: list[Any], marks: Marks) -> None:
    """Marks variables."""
    for v, mark in zip(variables, marks, strict=True):
      literal = hasattr(v, "val")  # has no hash
      if mark and not literal and jnp.issubdtype(v.aval.dtype, jnp.inexact):
        self._marked.add(v)

  def of(self, variables: list[Any]) -> Marks:
    """Which of these are marked."""
    return [not hasattr(v, "val") and v in self._marked for v in variables]
