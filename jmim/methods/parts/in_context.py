"""A task told by examples: pairs, then a query, whose target is asked for.

Frames of an example, F of each target:

    in_1, out_1 (F), ..., in_n, out_n (F), query     the context
    target (F)

No context is a zero frame and the query, which is shorter. In training it is
told so with a probability, and the number of pairs may be drawn: there the
context keeps its length, its first frames are hidden from attention, and the
zero frame takes the place of the one before the query. With rotary positions,
which know distances only, this is the same as a shorter context.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import randomness

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class InContext:
  """How many pairs, what is dropped, and templates."""

  pairs: int = field.value(4, "pairs of an example, beside the query", low=1)
  least: int = field.value(
    0, "fewest pairs shown in training, drawn up to all; 0: always all", low=0
  )
  target_frames: int = field.value(1, "F, frames of a target", low=1)
  drop: float = field.value(
    0.1, "probability of no context in training", low=0.0, below=1.0
  )
  shown: int = field.value(
    0, "pairs of samples; 0: all of an example", low=0, asked=True
  )
  templates: str = field.value(
    "",
    "file of pairs that samples are told, drawn by task; empty: those of the "
    "example",
    asked=True,
  )
  each: int = field.value(
    0, "templates of each task in that file", low=0, asked=True
  )

  @property
  def pair(self) -> int:
    """Frames of a pair."""
    return 1 + self.target_frames

  @property
  def frames(self) -> int:
    """Frames of a context."""
    return self.pairs * self.pair + 1

  @property
  def total(self) -> int:
    """Frames of an example."""
    return (self.pairs + 1) * self.pair

  @property
  def asked(self) -> int:
    """Pairs of a sample."""
    return self.shown or self.pairs

  def check(self, made: bool, count: int) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      made: whether pairs are made of pictures, by a frame each.
      count: tasks that are told apart by a number.
    """
    if self.least > self.pairs:
      raise ValueError(
        f"context.least {self.least}: at most context.pairs {self.pairs}"
      )
    if made and self.target_frames != 1:
      raise ValueError(
        f"context.target_frames {self.target_frames} with tasks.source 'made', "
        "whose targets are one frame"
      )
    if self.templates and not (self.each and count):
      raise ValueError(
        "context.templates without context.each, or (tasks.source 'stored') "
        "without tasks.stored: how many there are of how many tasks"
      )
    if not self.templates and self.shown > self.pairs:
      raise ValueError(
        f"context.shown {self.shown} of context.pairs {self.pairs}: more come "
        "from context.templates only"
      )

  def consts(
    self, count: int, sides: tuple[int, ...]
  ) -> dict[str, method.Const]:
    """templates: "pairs" [tasks, m, 1 + F, h, w, c], as inputs are.

    Args:
      count: tasks.
      sides: (h, w, c) of a frame.
    """
    if not self.templates:
      return {}
    shape = (count, self.each, self.pair, *sides)
    init = lambda key: {"pairs": jax.random.uniform(key, shape, minval=-1.0)}
    key = "method.context.templates"
    return {"templates": method.Const(self.templates, init, key=key)}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """context_drop [b] bool; pairs [b] of least .. n; what is not drawn lacks.

    Args:
      keys: by name.
      shape: begins with b.
    """
    found, b = {}, shape[:1]
    if self.drop:
      coin = jax.random.bernoulli(keys("context_drop"), self.drop, b)
      found["context_drop"] = coin
    if 0 < self.least < self.pairs:
      low, high = self.least, self.pairs + 1
      found["pairs"] = jax.random.randint(keys("pairs"), b, low, high)
    return found

  def split(self, frames: Array) -> tuple[Array, Array]:
    """The context [b, n (1 + F) + 1, ...] and the target [b, F, ...]."""
    return frames[:, : self.frames], frames[:, self.frames :]

  def hidden(
    self, context: Array, draws: method.Draws
  ) -> tuple[Array, Array | None]:
    """The context of training, and which of its frames may be seen [b, f].

    Args:
      context: [b, f, ...].
      draws: of `draw`.
    """
    if not {"context_drop", "pairs"} & draws.keys():
      return context, None
    b, f = context.shape[:2]
    pairs = draws.get("pairs", jnp.full(b, self.pairs))
    drop = draws.get("context_drop", jnp.zeros(b, bool))
    first = jnp.where(drop, f - 2, f - 1 - pairs * self.pair)
    place = np.arange(f)
    zero = drop[:, None] & (place == f - 2)
    zero = zero.reshape(b, f, *(1,) * (context.ndim - 2))
    return jnp.where(zero, 0.0, context), place >= first[:, None]

  def last(self, context: Array, pairs: int) -> Array:
    """The context with its last so many pairs, and the query."""
    return context[:, context.shape[1] - 1 - pairs * self.pair :]

  def from_templates(
    self, weights: method.Weights, task: Array, key: Array, numbers: Array
  ) -> Array:
    """[b, n (1 + F), h, w, c] frames of templates, drawn with repetition.

    Args:
      weights: with the templates among the consts.
      task: [b] numbers of tasks.
      key: of all; what is drawn depends on it and on each example's number.
      numbers: [b].
    """
    every = weights.consts["templates"]["pairs"]
    keys = randomness.numbered(key, numbers)
    choose = lambda k: jax.random.randint(k, (self.asked,), 0, every.shape[1])
    found = every[task[:, None], jax.vmap(choose)(keys)]
    return found.reshape(found.shape[0], -1, *found.shape[3:])


def null(context: Array) -> Array:
  """No context: a zero frame and the query, [b, 2, ...]."""
  query = context[:, -1:]
  return jnp.concatenate([jnp.zeros_like(query), query], axis=1)
