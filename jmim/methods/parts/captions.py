"""Texts beside images: tokens of a batch, or the caption of a label.

    inputs   <begin> w_1 .. w_l        what a network reads
    targets  w_1 .. w_l <end>          what it is to say at these places

A text ends where its padding begins. Captions of labels are made of a closed
list of words: the sorted words of all captions are tokens 3, 4, ...
Letters: b batch, l tokens of the longest text.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method

SPECIAL = ("", "<begin>", "<end>")  # tokens 0, 1, 2 of a closed list


class Texts(NamedTuple):
  """Texts as a network reads and says them, all [b, 1 + l].

  Attributes:
    inputs: int32 tokens.
    targets: int32 tokens.
    present: bool, False at padding, where there is nothing to read or to say.
    weight: float32 of what is said; 0 at padding.
  """

  inputs: jax.Array
  targets: jax.Array
  present: jax.Array
  weight: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captions:
  """Where texts come from, and their special tokens."""

  of: tuple = field.value(
    (), "caption of each label; (): `tokens` of a batch are read"
  )
  length: int = field.value(
    64, "tokens of a text at most, where a batch has them", low=1
  )
  words: int = field.value(
    151_936, "different tokens, where a batch has them (Qwen2)", low=2
  )
  begin: int = field.value(
    151_644, "token before a text, where a batch has tokens", low=0
  )
  end: int = field.value(
    151_643, "token after a text, where a batch has tokens", low=0
  )
  pad: int = field.value(
    151_643, "token that fills up, where a batch has tokens", low=0
  )
  weighed: bool = field.value(
    False,
    "`learnt` of a batch weighs tokens: 0 what is asked, 1 what is answered",
  )
  prompt: tuple = field.value(
    (),
    "tokens that are drawn where a batch has none (--mode=sample)",
    asked=True,
  )

  sampled: bool = field.value(
    False,
    "`sample` gives the text that is said of the image it makes",
    asked=True,
  )

  @property
  def vocabulary(self) -> tuple[str, ...]:
    """The closed list of words, or nothing."""
    words = sorted({word for text in self.of for word in text.split()})
    return (*SPECIAL, *words) if self.of else ()

  @property
  def size(self) -> int:
    """Different tokens."""
    return len(self.vocabulary) or self.words

  @property
  def longest(self) -> int:
    """l."""
    return max((len(text.split()) for text in self.of), default=self.length)

  @property
  def special(self) -> tuple[int, int, int]:
    """Tokens that fill up, begin and end."""
    return (0, 1, 2) if self.of else (self.pad, self.begin, self.end)

  def inputs(self) -> dict[str, method.Input]:
    """label [b], or tokens [b, l] and, if weighed, learnt [b, l].

    Raises:
      ValueError: fields that do not go together.
    """
    self.check()
    if self.of:
      return {"label": method.Input((), jnp.int32, high=len(self.of))}
    spec = method.Input((self.length,), jnp.int32, high=self.words)
    weight = method.Input((self.length,), range=(0.0, 1.0))
    return {"tokens": spec} | ({"learnt": weight} if self.weighed else {})

  def check(self) -> None:
    """Raises ValueError for fields that do not go together."""
    if self.of and (self.weighed or self.prompt):
      raise ValueError("text.of with text.weighed or text.prompt, of no label")
    if not all(text.split() for text in self.of):
      raise ValueError("text.of has an empty caption")
    for name in () if self.of else ("begin", "end", "pad"):
      if getattr(self, name) >= self.words:
        raise ValueError(
          f"text.{name} {getattr(self, name)} of text.words {self.words}"
        )
    if len(self.prompt) > self.length or any(
      not 0 <= token < self.words for token in self.prompt
    ):
      raise ValueError(
        f"text.prompt {self.prompt}: at most text.length {self.length} tokens "
        f"below text.words {self.words}"
      )

  def reads(self) -> tuple[str, ...]:
    """What sampling reads of a batch, beside a label."""
    return () if self.of or self.prompt else ("tokens",)

  def tokens(self, batch: method.Batch) -> jax.Array:
    """[b, l] int32 of a batch, or the prompt."""
    if self.of:
      return jnp.asarray(self._table())[batch["label"]]
    if "tokens" in batch:
      return batch["tokens"]
    row = self._filled(self.prompt)
    return jnp.broadcast_to(row, (method.batch_size(batch), len(row)))

  def texts(self, batch: method.Batch) -> Texts:
    """Of a batch."""
    tokens, (pad, begin, end) = self.tokens(batch), self.special
    ended = jnp.cumsum(tokens == pad, axis=1) > 0
    wide = lambda x, **kw: jnp.pad(x, ((0, 0), (1, 0)), **kw)
    present = wide(~ended, constant_values=True)
    last = jnp.arange(1 + tokens.shape[1]) == present.sum(1, keepdims=True) - 1
    said = jnp.pad(tokens, ((0, 0), (0, 1)), constant_values=pad)
    weight = jnp.ones(tokens.shape)
    if self.weighed and "learnt" in batch:
      weight = batch["learnt"]
    weight = jnp.pad(weight, ((0, 0), (0, 1)), constant_values=1.0)
    return Texts(
      inputs=wide(tokens, constant_values=begin),
      targets=jnp.where(last, end, said),
      present=present,
      weight=jnp.where(last, 1.0, weight) * present,
    )

  def cut(self, tokens: jax.Array, known: jax.Array | None = None) -> jax.Array:
    """Tokens [b, l] that were said, those from the first end on filled up.

    Args:
      tokens: with what stands behind an end.
      known: [b, l], -1 where a token was not given: what is given is no end (a
        question may close as an answer does). None: nothing was given.
    """
    pad, _, end = self.special
    ends = (tokens == end) | (tokens == pad)
    ends = ends if known is None else ends & (known < 0)
    return jnp.where(jnp.cumsum(ends, axis=1) > 0, pad, tokens)

  def written(self, tokens: Sequence[int]) -> str:
    """Words, of a closed list, or the numbers of one text."""
    pad, known = self.special[0], self.vocabulary
    left = [int(token) for token in tokens if token != pad]
    return " ".join(known[t] if known else str(t) for t in left)

  def _filled(self, tokens):
    """int32 [l]."""
    more = [self.special[0]] * (self.longest - len(tokens))
    return np.array([*tokens, *more], np.int32)

  def _table(self):
    """int32 [labels, l]."""
    at = {word: i for i, word in enumerate(self.vocabulary)}
    return np.stack([self._filled([at[w] for w in t.split()]) for t in self.of])
