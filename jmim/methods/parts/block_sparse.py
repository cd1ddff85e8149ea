"""Attention that computes a share of its blocks: when, and which.

A path is walked in segments, each with one kind of attention
(`diffusion/segments.py`).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import sampler as samplers
from jmim.diffusion import segments
from jmim.methods.parts import guided
from jmim.nn import block_masks
from jmim.nn import sparse
from jmim.nn import streaming

BLIND = ("window", "random")  # selections that do not look at S
SELECTIONS = ("heads", "rows", "whole", *block_masks.PATTERNS, "random")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockSparse:
  """Share of the blocks, how they are chosen, and when."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  sparsity: float = field.value(
    0.8, "share of the blocks that is dropped", low=0.0, below=1.0
  )
  block: int = field.value(64, "tokens of a block", low=1)
  searches: tuple = field.value(
    (10, 30), "calls, counted from 1, that look for blocks; 0: the first"
  )
  threshold: float = field.value(
    0.8, "recall from which a head gives blocks away", low=0.0, high=1.0
  )
  selection: str = field.value(
    "heads",
    "blocks kept: heads: best of each row, more in heads of low recall; rows; "
    "whole: best of a head, at the cost of all; or a pattern",
    choices=SELECTIONS,
  )

  def check(self, sampling: guided.Guided, table: samplers.Table) -> None:
    """Raises ValueError for fields that do not fit, or a path that does not.

    Args:
      sampling: of the host.
      table: its path.
    """
    at, steps = self.places, sampling.steps
    rising = list(at) == sorted({*at}) and min(self.searches, default=-1) >= 0
    if not rising or at[-1] >= steps:
      raise ValueError(
        f"sparse.searches {self.searches} with sampling.steps {steps}: "
        "ascending calls of the sampler, at least one"
      )
    if self.selection == "heads" and self.sparsity < block_masks.LEAST:
      raise ValueError(
        f"sparse.selection 'heads' with sparse.sparsity {self.sparsity:g}: "
        "below 1/3 heads of low recall would keep more than all blocks"
      )
    if table.stochastic or len(table) != steps:
      raise ValueError(
        f"sampling.sampler {sampling.sampler!r} with sampling.eta "
        f"{sampling.eta:g}: a path is walked in segments by 'euler', or "
        "'ddim' with eta 0"
      )

  @property
  def places(self) -> tuple[int, ...]:
    """Calls that search, from 0."""
    return tuple(max(1, call) - 1 for call in self.searches)

  def segments(self, steps: int) -> tuple[segments.Segment, ...]:
    """Of a path of so many calls; those without a call are left out."""
    return segments.segments(self.places, steps)

  def walk(
    self,
    table: samplers.Table,
    make: Callable[[guided.Network], samplers.Denoise],
    x: jax.Array,
    network: Callable[[str, Any], guided.Network],
    state: Any = None,
  ) -> tuple[jax.Array, list[Any]]:
    """The end of a path, and what each search has found.

    Args:
      table: the path.
      make: see `guided.Walk`.
      x: to begin with.
      network: (phase, what was found last) -> the network of a segment, which
        in SEARCHES gives what is found, too.
      state: before the first search.
    """
    keep, found = lambda level, new, out: (new, out.aux), [state]
    for phase, start, stop in self.segments(len(table)):
      denoise, part = make(network(phase, found[-1])), table.part(start, stop)
      x, seen = samplers.sample(part, denoise, x, callback=keep)
      if phase in segments.SEARCHES:
        found.append(jax.tree.map(lambda a: a[0], seen))
    return x, found[1:]

  def layout(self, tokens: int) -> block_masks.Layout:
    """Blocks of tokens of a video; its texts are told elsewhere."""
    return block_masks.Layout(tokens=tokens, block=self.block)

  def base(self, tokens: int) -> int:
    """Blocks of a row, mean over heads."""
    return block_masks.kept(self.sparsity, self.layout(tokens).video)

  def choose(
    self, sums: jax.Array, tokens: int, noise: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """(kept, count) of a `sparse.State`.

    Args:
      sums: S [b, h, n, n].
      tokens: of the sequence.
      noise: [b, h, n, n]; None where none are random.
    """
    layout, k = self.layout(tokens), self.base(tokens)
    if self.selection == "heads":
      number = block_masks.counts(self.sparsity, layout.video)
      return block_masks.by_head(sums, number, self.threshold, layout)
    choose = {
      "rows": block_masks.rows,
      "whole": block_masks.whole,
      "random": functools.partial(block_masks.random, noise=noise),
      **block_masks.PATTERNS,
    }[self.selection]
    count = jnp.full(sums.shape[:2], k, jnp.int32)
    return choose(sums, k, layout), count

  def mask(self, kept: jax.Array, count: jax.Array, tokens: int) -> jax.Array:
    """The same as a mask [b, h, n, n]."""
    if self.selection == "whole":
      return kept
    return block_masks.mask(kept, self.layout(tokens), count)

  def attend(
    self, q: jax.Array, k: jax.Array, v: jax.Array, state: Any, phase: str
  ) -> tuple[jax.Array, sparse.State]:
    """A layer's attention [b, h, t, d], and its state after it.

    Args:
      q: [b, h, t, d].
      k: [b, h, t, d].
      v: [b, h, t, d].
      state: of the layer; in the phase "search" its noise, or None.
      phase: of `segments.PHASES`, but "dense".
    """
    tokens, block = q.shape[2], self.block
    if phase == "search":
      out, lse, sums = streaming.search(q, k, v, block)
      return out, sparse.State(lse, *self.choose(sums, tokens, state), state)
    if phase == "refresh":
      sums = streaming.block_sums(q, k, lse=state.lse, block=block)
      kept, count = self.choose(sums, tokens, state.noise)
      state = state._replace(kept=kept, count=count)
    return self._sparse(q, k, v=v, state=state), state

  def _sparse(self, q, k, *, v, state):
    """The kept blocks alone."""
    tokens, number = q.shape[2], {}
    layout = self.layout(tokens)
    if self.selection == "whole":
      return sparse.masked(q, k, v, mask=state.kept, layout=layout)
    if self.selection == "heads":
      number = dict(count=state.count, base=self.base(tokens))
    return sparse.attend(q, k, v, index=state.kept, layout=layout, **number)
