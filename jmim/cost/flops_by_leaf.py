"""Which parameter the FLOPs of a matrix product belong to, from the jaxpr.

A product with a parameter counts for that parameter. A product of two
activations (attention's q k' and a v) counts for the parameter that was used
last on the way to either. What no parameter led to counts for "".

Each value has an owner: (when, name) of the parameter used last; a parameter
that was only cast, cut or reshaped has `when` = NEW. The counts are those of
`cost.flops`, so they sum to `flops.count` of the same function.
"""

import collections
import itertools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from jmim.core import tree as trees
from jmim.cost import flops

Owner = tuple[float, str]
NEW = float("inf")
NONE = (-1, "")  # a constant
DATA = (0, "")  # an argument that is no parameter


def count(
  fn: Callable[..., Any], params: Any, *args: Any
) -> collections.Counter:
  """Leaf name -> forward FLOPs of fn(params, *args); shapes are enough."""
  live, used = flops.live(fn, params, *args)
  owners = [(NEW, name) for name in trees.named(params)]
  owners += [DATA] * (len(used) - len(owners))
  tally = _Tally()
  tally.walk(live, [o for o, u in zip(owners, used, strict=True) if u], 1)
  return +tally.total  # without those that count nothing


class _Tally:
  """FLOPs by owner, while jaxprs are walked through."""

  def __init__(self):
    self.total, self._clock = collections.Counter(), itertools.count(1)

  def walk(
    self, jaxpr: Any, owners: Sequence[Owner], times: int
  ) -> list[Owner]:
    """Counts a jaxpr run `times` times; returns the owners of its outputs."""
    known = dict(zip(jaxpr.invars, owners, strict=True))
    # Literals have no hash, and nobody owns them.
    of = lambda v: NONE if hasattr(v, "val") else known.get(v, NONE)
    for eqn in jaxpr.eqns:
      ins = [of(v) for v in eqn.invars]
      if inner := flops.inner(eqn.params):
        outs = self._inside(eqn, inner, ins, times)
      else:
        outs = [self._use(eqn, ins, times)] * len(eqn.outvars)
      known |= dict(zip(eqn.outvars, outs, strict=True))
    return [of(v) for v in jaxpr.outvars]

  def _use(self, eqn: Any, ins: Sequence[Owner], times: int) -> Owner:
    """Owner of the results of an equation, which is counted.

    The latest owner among its inputs. A parameter counts as used now, at the
    next tick of the clock, once it meets an activation or is multiplied.
    """
    when, name = max(ins, default=NONE)
    cost = flops.product(eqn)
    self.total[name] += times * cost
    activation = any(NONE[0] < w < NEW for w, _ in ins)
    if when == NEW and (activation or cost):
      when = next(self._clock)
    return when, name

  def _inside(
    self, eqn: Any, inner: list[Any], ins: Sequence[Owner], times: int
  ) -> list[Owner]:
    """Owners of the results of a call, scan, branch or loop."""
    if eqn.primitive.name == "cond":  # as `flops`: the dearest branch
      inner = [max(inner, key=flops.count_jaxpr)]
    times *= eqn.params["length"] if eqn.primitive.name == "scan" else 1
    outs = [max(ins, default=NONE)] * len(eqn.outvars)
    for jaxpr in inner:
      owners = self.walk(jaxpr, flops.inputs(jaxpr, ins), times)
      if len(owners) == len(outs):  # not a loop's condition
        outs = owners
    return outs
