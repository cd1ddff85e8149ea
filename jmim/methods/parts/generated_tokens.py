"""Features of tokens that a vision-language model has generated (ThinkDiff).

They are computed once and stored, with the tokens (`text.generated`, or another
program). Of an example the first p are told, and the text of the others is to
be said: were all told, each could be mapped to its own word; the split makes
that the projector carries meaning. Letters: `parts/heard.py`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.masks import spans
from jmim.methods.parts import heard


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated:
  """Features of tokens that were generated once and stored."""

  length: int = field.value(64, "generated tokens of an example", low=2)
  width: int = field.value(3584, "width of their features", low=1)
  most: int = field.value(128, "most tokens that are told", low=1)
  shared: bool = field.value(
    False,
    "generated tokens are those of the decoder; else `rests` of a batch holds "
    "the text from each place on in its tokens",
  )
  rt: runtime.Runtime = field.runtime()

  reads_texts = False

  @property
  def told(self) -> tuple[str, ...]:
    """Entries of a batch that features are made of."""
    return ("generated", *["generated_tokens"] * self.shared)

  def check(self, text: heard.Text) -> None:
    """Nothing that could go wrong."""
    del text

  def inputs(self, text: heard.Text, words: int) -> dict[str, method.Input]:
    """generated [n, c]; generated_tokens [n], or rests [n, l]."""
    read = {"generated": method.Input((self.length, self.width))}
    if self.shared:
      spec = method.Input((self.length,), jnp.int32, words)
      return read | {"generated_tokens": spec}
    shape = (self.length, text.length)
    return read | {"rests": method.Input(shape, jnp.int32, words)}

  @property
  def channels(self) -> int:
    """Width of the features."""
    return self.width

  def consts(self, words: int) -> dict[str, method.Const]:
    """None."""
    del words
    return {}

  def whole(
    self, weights: method.Weights, batch: method.Batch, text: heard.Text
  ) -> tuple[jax.Array, jax.Array]:
    """(features [b, n, c], where there are such) of all that was generated."""
    del weights
    x = batch["generated"]
    if self.shared:
      return x, spans.present(batch["generated_tokens"], text.special)
    return x, jnp.ones(x.shape[:2], bool)

  def heard(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    text: heard.Text,
  ) -> heard.Heard:
    """The first p tokens, and the text of the others; p from draws."""
    x, there = self.whole(weights, batch, text)
    p = spans.place(draws["place"], there.sum(1), self.most)
    if self.shared:
      tokens, start = batch["generated_tokens"], p
    else:
      rows = batch["rests"]
      tokens = jnp.take_along_axis(rows, p[:, None, None], axis=1)[:, 0]
      start = jnp.zeros_like(p)
    how = dict(length=text.length, special=text.special)
    task = spans.parted(tokens, start, start, **how)
    told = jnp.arange(self.length) < p[:, None]
    said = task.said & (p > 0)[:, None]  # told nothing, there is nothing to say
    return heard.Heard(
      features=x,
      present=told,
      before=None,
      before_present=None,
      labels=task.targets,
      said=said,
    )
