"""FLOPs of a training step: three times where a gradient passes, else once.

By the rule of `cost.flops`. A gradient passes through a product whose result
depends on what is trained and reaches the loss, both along values that can be
differentiated: not through a stop_gradient, not through integers.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.cost import flops

TRAIN = 3  # times that a product with a gradient counts in a training step

Marks = list[bool]


@dataclasses.dataclass(frozen=True)
class Work:
  """FLOPs of a loss.

  Attributes:
    forward: of all its products.
    trained: of those of them that a gradient passes through.
  """

  forward: int = 0
  trained: int = 0

  def __add__(self, other: "Work") -> "Work":
    return Work(self.forward + other.forward, self.trained + other.trained)

  def __mul__(self, times: int) -> "Work":
    return Work(self.forward * times, self.trained * times)

  def __floordiv__(self, examples: int) -> "Work":
    return Work(self.forward // examples, self.trained // examples)

  @property
  def step(self) -> int:
    """Of a training step."""
    return self.forward + (TRAIN - 1) * self.trained


def of(fn: Callable[..., Any], trained: Any, *args: Any) -> Work:
  """Of fn(trained, *args), differentiated with respect to `trained`.

  Shapes are enough (nothing is run), and dead code does not count.
  """
  jaxpr, used = flops.live(fn, trained, *args)
  first = len(jax.tree.leaves(trained))
  marks = [i < first for i, u in enumerate(used) if u]
  return _count(jaxpr, marks, [True] * len(jaxpr.outvars))[0]


def _count(jaxpr: Any, marks: Marks, wanted: Marks) -> tuple[Work, Marks]:
  """FLOPs of a jaxpr; which of its outputs depend on what is trained.

  Args:
    jaxpr: its equations are looked through in order.
    marks: which of its inputs depend on what is trained.
    wanted: which of its outputs reach the loss.
  """
  total, reach = Work(), _reaching(jaxpr, wanted)
  depend = _Set(jaxpr.invars, marks)
  for eqn in jaxpr.eqns:
    given, asked = depend.of(eqn.invars), reach.of(eqn.outvars)
    outs = [any(given)] * len(eqn.outvars)
    if cost := flops.product(eqn):
      total += Work(cost, cost * (outs[0] and asked[0]))
    elif parts := flops.inner(eqn.params):
      cost, outs = _count_inside(eqn, parts, given, asked)
      total += cost
    if eqn.primitive.name != "stop_gradient":
      depend.add(eqn.outvars, outs)
  return total, depend.of(jaxpr.outvars)


def _count_inside(
  eqn: Any, parts: list[Any], given: Marks, asked: Marks
) -> tuple[Work, Marks]:
  """`_count` of a call, scan, branch or loop."""
  name, found = eqn.primitive.name, []
  for jaxpr in parts:
    marks, wanted = flops.inputs(jaxpr, given), _fit(jaxpr, asked)
    if name == "scan":
      wanted = _settled(eqn, jaxpr, wanted)
    cost, outs = _count(jaxpr, marks, wanted)
    # What one turn marks the next one is given.
    while name == "scan" and (more := _carry(eqn, marks, outs)) != marks:
      marks = more
      cost, outs = _count(jaxpr, marks, wanted)
    found.append((cost, outs))
  if name == "cond":  # the dearest branch; marked by any
    cost = max((c for c, _ in found), key=lambda c: c.forward)
    return cost, [any(m) for m in zip(*(o for _, o in found), strict=True)]
  outs = [o for _, o in found if len(o) == len(asked)]
  total = sum((c for c, _ in found), Work())
  times = eqn.params["length"] if name == "scan" else 1
  return total * times, outs[-1] if outs else [any(given)] * len(asked)


def _reaching(jaxpr: Any, wanted: Marks) -> "_Set":
  """The variables whose gradient the wanted outputs ask for."""
  reach = _Set(jaxpr.outvars, wanted)
  for eqn in reversed(jaxpr.eqns):
    asked = reach.of(eqn.outvars)
    if not any(asked) or eqn.primitive.name == "stop_gradient":
      continue
    ins = [not flops.inner(eqn.params)] * len(eqn.invars)
    for part in flops.inner(eqn.params):
      outs = _fit(part, asked)
      if eqn.primitive.name == "scan":
        outs = _settled(eqn, part, outs)
      own = _reaching(part, outs).of(part.invars)
      own = [False] * (len(ins) - len(own)) + own
      ins = [a or b for a, b in zip(ins, own, strict=True)]
    reach.add(eqn.invars, ins)
  return reach


def _settled(eqn: Any, jaxpr: Any, wanted: Marks) -> Marks:
  """Outputs of a turn that are wanted, by the turns after it too."""
  start, n = eqn.params["num_consts"], eqn.params["num_carry"]
  while True:
    ins = _reaching(jaxpr, wanted).of(jaxpr.invars)[start : start + n]
    more = [a or b for a, b in zip(wanted[:n], ins, strict=True)]
    if more == wanted[:n]:
      return wanted
    wanted = more + wanted[n:]


def _carry(eqn: Any, marks: Marks, outs: Marks) -> Marks:
  """Marks of the inputs of a scan's next turn."""
  start, n = eqn.params["num_consts"], eqn.params["num_carry"]
  before = marks[start : start + n]
  after = [a or b for a, b in zip(before, outs[:n], strict=True)]
  return marks[:start] + after + marks[start + n :]


def _fit(jaxpr: Any, asked: Marks) -> Marks:
  """Wanted outputs of a part of an equation (all, of a loop's condition)."""
  n = len(jaxpr.outvars)
  return asked if len(asked) == n else [any(asked)] * n


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
