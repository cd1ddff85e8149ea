"""Sampling of a mask-and-replace diffusion, as a config section (VQ-Diffusion).

See `diffusion.replace_chain`; guidance and purity prior: Tang et al. 2022.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import categorical
from jmim.diffusion import replace
from jmim.diffusion import replace_chain

# (tokens [b, l], times [b]) -> log p(x_0 | x_t) [b, l, k].
Network = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reversal:
  """Which times, from which distribution, and in which order."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  stride: int = field.value(
    1, "times from one call of the network to the next", low=1
  )
  guidance: float = field.value(
    1.0, "scale of log p against that of no condition; 1: none", low=0.0
  )
  truncation: float = field.value(
    1.0, "share of p(x_0 | x_t) kept, likeliest first", above=0, high=1
  )
  rule: str = field.value(
    "posterior",
    "posterior; or reveal the surest tokens (purity), or any (random)",
    choices=replace_chain.RULES,
  )
  sharpen: float = field.value(
    0.0, "how much sharper sure tokens are drawn (purity)", low=0.0
  )
  start: str = field.value(
    "mask",
    "all [MASK], or masked and random codes in their shares at the end",
    choices=("mask", "prior"),
  )
  precision: str = field.value(
    "f32", "numbers that draw codes", choices=categorical.PRECISIONS
  )

  def check(self, process: replace.Replace, conditional: bool) -> None:
    """Raises ValueError for fields that do not go together."""
    if self.sharpen and self.rule != "purity":
      raise ValueError(
        f"sampling.sharpen {self.sharpen} with sampling.rule {self.rule!r}: it "
        "is of rule 'purity'"
      )
    if self.guidance != 1 and not conditional:
      raise ValueError(
        f"sampling.guidance {self.guidance} without a condition "
        "(condition.kind 'none')"
      )
    masks = process.mask_last > 0
    if not masks and (self.start == "mask" or self.rule != "posterior"):
      raise ValueError(
        f"sampling.start {self.start!r}, sampling.rule {self.rule!r} with "
        "process.mask_last 0: [MASK] is never seen in training; start 'prior', "
        "rule 'posterior'"
      )
    if self.start == "prior" and self.rule != "posterior":
      raise ValueError(
        f"sampling.start 'prior' with sampling.rule {self.rule!r}, which never "
        "changes a code: start 'mask'"
      )

  def sample(
    self,
    keys: jax.Array,
    process: replace.Replace,
    network: Network,
    null: Network | None,
    length: int,
  ) -> jax.Array:
    """Tokens [calls, b, length] after each call, the last without [MASK].

    Args:
      keys: [b], one per row.
      process: the noise.
      network: told the condition.
      null: told none; None: there is no condition.
      length: of a sample.
    """
    pick, order = replace_chain.own(keys, length, self.precision)

    def predict(x, t):
      times = jnp.full(len(x), t)
      logp = network(x, times)
      if null is not None and self.guidance != 1:
        logp = replace_chain.guided(logp, null(x, times), self.guidance)
      if self.truncation < 1:
        logp = replace_chain.truncated(logp, self.truncation)
      return logp

    start = jnp.full((len(keys), length), process.mask_id)
    if self.start == "prior":
      prior = process.prior()
      rows = jnp.broadcast_to(prior, (*start.shape, len(prior)))
      start = pick(process.times, rows)  # no call has this number
    return replace_chain.chain(
      process,
      predict,
      pick,
      start,
      stride=self.stride,
      rule=self.rule,
      order=order,
      sharpen=self.sharpen,
    )
