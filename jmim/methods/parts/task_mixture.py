"""How much each of three tasks counts, and when (Chen et al. 2025).

    random   predict tokens hidden at random
    next     given the first k tokens, predict token k
    all      given the first k tokens, predict all others

`curriculum`: each task leads for a part of the training, 0 .. 30 %, .. 70 %
and .. 100 %, with weights

    (random, next, all) = (.73 .18 .09), (.18 .73 .09), (.18 .09 .73)

which are the softmax of their logarithms; these go over into each other in a
line within 5 % of the training on either side of a switch, in the middle of
which the two that change places are equal. The paper gives the shares and the
switches; which of the others gets more, and the lines, are ours. It also lets
a temperature fall, without figures: there is none here. The released code has
no curriculum: `fixed`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field

TASKS = ("random", "next", "all")
SHARES = ((0.73, 0.18, 0.09), (0.18, 0.73, 0.09), (0.18, 0.09, 0.73))
SWITCHES = (0.3, 0.7)  # of the training
HALF = 0.05  # of the training, on either side of a switch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture:
  """Weights of the three losses over the steps."""

  name: str = field.value(
    "curriculum",
    "'curriculum': each task leads for a time; 'fixed': `weights`",
    choices=("curriculum", "fixed"),
  )
  weights: tuple = field.value(
    (1.0, 1.0, 1.0),
    "weights of random, next and next-all with name='fixed'; 0: left out",
  )
  steps: int = field.value(
    500_000, "steps of the whole run, which a curriculum is divided into", low=1
  )

  def check(self) -> None:
    """Raises ValueError for weights that are none."""
    fine = len(self.weights) == len(TASKS) and min(self.weights) >= 0
    if not fine or not sum(self.weights):
      raise ValueError(
        f"mixture.weights={self.weights}: three numbers, none below 0 and not "
        "all of them 0"
      )

  def lengths(self, name: str) -> dict[str, int]:
    """As `Method.lengths`, for a part of this name: a curriculum's steps."""
    return {f"{name}.steps": self.steps} if self.name == "curriculum" else {}

  @property
  def used(self) -> tuple[str, ...]:
    """The tasks that count at all."""
    if self.name == "curriculum":
      return TASKS
    return tuple(task for task, w in zip(TASKS, self.weights, strict=True) if w)

  @property
  def inputs(self) -> tuple[str, ...]:
    """What these read, see `hidden_tokens`: "random", "prefix"."""
    kinds = {"random": "random", "next": "prefix", "all": "prefix"}
    return tuple(dict.fromkeys(kinds[task] for task in self.used))

  def at(self, step: jax.Array | int) -> jax.Array:
    """[3] float32, the weights in a step; those of a curriculum sum to 1."""
    if self.name == "fixed":
      return jnp.asarray(self.weights, jnp.float32)
    t = jnp.asarray(step, jnp.float32) / self.steps
    knots, rows = [], []
    for i, switch in enumerate(SWITCHES):
      knots += [switch - HALF, switch + HALF]
      rows += [SHARES[i], SHARES[i + 1]]
    logs = jnp.log(jnp.asarray(rows, jnp.float32))
    line = lambda values: jnp.interp(t, jnp.asarray(knots), values)
    return jax.nn.softmax(jax.vmap(line, in_axes=1)(logs))
