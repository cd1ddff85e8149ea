"""Mask-and-replace diffusion of codes: the process, and the loss on it.

See `diffusion.replace`. Per example, with w of masked and visible tokens:

    main = sum_l w_l KL(q(x_{t-1} | x_t, x_0) | p(x_{t-1} | x_t))
    more = sum_l w_l (-log p(x_0 | x_t))        both at t = 0: -log p(x_0 | x_1)
    loss = main + auxiliary (2 - t / T) more       1 in place of (...): adaptive
                                                   is False
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import replace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replacement:
  """Number of times, and four end points of the two schedules."""

  times: int = field.value(100, "T, times of the diffusion", low=2)
  keep_first: float = field.value(
    0.99999, "share of codes kept at the first time (att_1)", above=0, high=1
  )
  keep_last: float = field.value(
    9e-6, "share kept at the last time (att_T)", above=0, high=1
  )
  mask_first: float = field.value(
    9e-6, "share masked at the first time (ctt_1)", low=0.0, below=1
  )
  mask_last: float = field.value(
    0.99999,
    "share masked at the last time (ctt_T); the rest is replaced",
    low=0.0,
    below=1,
  )

  def process(self, codes: int) -> replace.Replace:
    """The process on so many codes.

    Raises:
      ValueError: end points between which there is none.
    """
    return replace.Replace(codes=codes, **vars(self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bound:
  """Weights of the terms of the loss."""

  auxiliary: float = field.value(
    1e-3, "weight of -log p(x_0 | x_t) (1e-3 classes, 5e-4 text)", low=0.0
  )
  adaptive: bool = field.value(
    True, "weight of -log p(x_0 | x_t) times 2 - t / T"
  )
  masked: float = field.value(1.0, "weight of masked tokens", low=0.0)
  visible: float = field.value(1.0, "weight of visible tokens", low=0.0)

  draws: int = field.value(8, "times per example of an estimate", low=1)

  def terms(
    self,
    process: replace.Replace,
    logp: jax.Array,
    x0: jax.Array,
    x: jax.Array,
    t: jax.Array,
  ) -> tuple[jax.Array, jax.Array]:
    """(main, loss), both [b] nats.

    Args:
      process: of the tokens.
      logp: [b, l, k] log p(x_0 | x_t).
      x0: [b, l] codes.
      x: [b, l] tokens x_t.
      t: [b] ints.
    """
    first = t[:, None] == 0
    weight = jnp.where(x == process.mask_id, self.masked, self.visible)
    weight = jnp.where(first, 1.0, weight)
    term = process.terms(logp, x0, x, t)
    more = jnp.where(first, term, -replace.of(logp, x0))
    main, more = ((weight * nats).sum(1) for nats in (term, more))
    scale = 2 - t / process.times if self.adaptive else 1.0
    return main, main + self.auxiliary * scale * more

  def estimate(
    self,
    process: replace.Replace,
    x0: jax.Array,
    predict: Callable[[jax.Array, jax.Array], jax.Array],
    drawn: Callable[[jax.Array], method.Draws],
  ) -> jax.Array:
    """[b] nats: the bound of -log p(x_0), from times that are spread evenly.

    Args:
      process: of the tokens.
      x0: [b, l] codes.
      predict: (tokens [b, l], times [b]) -> log p(x_0 | x_t) [b, l, k].
      drawn: number -> time [b], u and code [b, l], all uniform.
    """

    def add(i, total):
      draws = drawn(i)
      t = replace.at_random((draws["time"] + i) / self.draws, process.times)
      x = process.noised(x0, t, draws["u"], draws["code"])
      terms = process.terms(predict(x, t), x0, x, t)
      return total + process.times * terms.sum(1)

    total = jax.lax.fori_loop(0, self.draws, add, jnp.zeros(len(x0)))
    return total / self.draws + process.last(x0)
