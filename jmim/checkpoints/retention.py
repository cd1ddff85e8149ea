"""Which checkpoints are kept: the newest, every n-th, the best."""

from collections.abc import Iterable
from collections.abc import Mapping


def keep(
  steps: Iterable[int],
  newest: int,
  every: int = 0,
  values: Mapping[int, float] | None = None,
  highest: bool = True,
) -> set[int]:
  """The steps among `steps` that stay.

  Args:
    steps: of the checkpoints.
    newest: so many of the last ones stay, at least one.
    every: multiples of this stay for ever; 0: none do.
    values: step -> value of the metric that says which one is best; a step
      without one is none. The later of two equals is better.
    highest: the best value is the highest, else the lowest.
  """
  steps = sorted(steps)
  stay = set(steps[-newest:])
  if every:
    stay |= {step for step in steps if step % every == 0}
  known = {s: v for s, v in (values or {}).items() if s in steps and v == v}
  if known:
    sign = 1 if highest else -1
    stay.add(max(known, key=lambda s: (sign * known[s], s)))
  return stay
