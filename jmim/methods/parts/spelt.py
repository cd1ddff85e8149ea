"""What a UNet is told twice: an instruction, and the characters of a word.

    c_text = encoder of texts (tokens)        words are tokens that cannot be
    c_char = tables of symbols and places     spelt; characters can

Each is a context by name, with transformers of its own (`nn.spatial`). None of
a branch is its padding: tokens that fill up, and spaces. Both are left out at
once, in training (`drop`) as in guidance.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import characters as alphabets
from jmim.methods.parts import text as texts
from jmim.nn import spatial

Array = jax.Array
TEXT, CHAR = BRANCHES = ("text", "char")
KEY = "told.text"  # of the encoder of texts, in methods


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spelt:
  """Both encoders; either may be left out."""

  branches: tuple[str, ...] = field.value(
    BRANCHES, "contexts of the transformers: text, char or both"
  )
  drop: float = field.value(
    0.0, "share of examples that are told nothing", low=0.0, high=1.0
  )
  tokens: int = field.value(
    20, "tokens of an instruction, data.text_length", low=2
  )
  text: texts.Text = field.part(texts.Text, "encoder of instructions")
  characters: alphabets.Characters = field.part(
    alphabets.Characters, "encoder of characters"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def encoder(self) -> texts.Text:
    """That of instructions, with the runtime of the method."""
    return dataclasses.replace(self.text, rt=self.rt)

  @property
  def contexts(self) -> tuple[spatial.Context, ...]:
    """Of the UNet; the text has as many heads as a place."""
    heads = {TEXT: 0, CHAR: self.characters.heads}
    return tuple(spatial.Context(name, heads[name]) for name in self.branches)

  @property
  def widths(self) -> dict[str, int]:
    """Branch -> width of its vectors."""
    wide = {TEXT: self.text.width, CHAR: self.characters.width}
    return {name: wide[name] for name in self.branches}

  def inputs(self, width: int) -> dict[str, method.Input]:
    """tokens [b, tokens] and characters [b, length], int32.

    Args:
      width: of the UNet's finest level; others are multiples.

    Raises:
      ValueError: fields that do not go together.
    """
    once = len(set(self.branches)) == len(self.branches)
    if not (self.branches and once and set(self.branches) <= set(BRANCHES)):
      raise ValueError(
        f"told.branches={self.branches}: one or both of {BRANCHES}"
      )
    heads, read = self.characters.heads, {}
    if CHAR in self.branches:
      if width % heads:
        raise ValueError(
          f"dims.width {width} does not divide by told.characters.heads {heads}"
        )
      read = self.characters.inputs()
    if TEXT in self.branches:
      if self.tokens > self.text.length:
        raise ValueError(
          f"told.tokens={self.tokens} of told.text.length={self.text.length}"
        )
      (tokens,) = self.text.entries(KEY).values()
      read["tokens"] = dataclasses.replace(tokens, shape=(self.tokens,))
    return read

  def consts(self) -> dict[str, method.Const]:
    """A frozen encoder of texts."""
    return self.encoder.consts(KEY) if TEXT in self.branches else {}

  def init(self, key: Array) -> method.Tree:
    """Branch -> parameters; nothing of a frozen encoder."""
    k_text, k_char = jax.random.split(key)
    made = {}
    if TEXT in self.branches and (own := self.encoder.init(k_text)):
      made[TEXT] = own
    if CHAR in self.branches:
      made[CHAR] = self.characters.init(k_char)
    return made

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """told_drop [b] ~ U[0, 1), if any are told nothing; shape: [b, ...]."""
    if not self.drop:
      return {}
    return {"told_drop": jax.random.uniform(keys("told_drop"), shape[:1])}

  def ids(self, batch: method.Batch) -> dict[str, Array]:
    """Branch -> [b, l] tokens or characters."""
    known = {TEXT: "tokens", CHAR: alphabets.ENTRY}
    return {name: batch[known[name]] for name in self.branches}

  def none(self, ids: Mapping[str, Array]) -> dict[str, Array]:
    """The same where nothing is told: padding alone, and spaces."""
    fill = {TEXT: self.text.pad, CHAR: alphabets.SPACE}
    return {name: jnp.full_like(x, fill[name]) for name, x in ids.items()}

  def dropped(self, batch: method.Batch, draws: method.Draws) -> dict:
    """`ids` of a training step, of some examples `none` of them."""
    ids = self.ids(batch)
    if not self.drop:
      return ids
    drop = (draws["told_drop"] < self.drop)[:, None]
    pick = lambda none, id: jnp.where(drop, none, id)
    return jax.tree.map(pick, self.none(ids), ids)

  def encode(
    self, weights: method.Weights, params: method.Tree, ids: Mapping[str, Array]
  ) -> dict[str, Array]:
    """Branch -> [b, l, e].

    Args:
      weights: of the method, for a frozen encoder.
      params: those of `init`.
      ids: of some branches.
    """
    found = {}
    if TEXT in ids:
      own = params.get(TEXT, {})
      found[TEXT] = self.encoder.encode(weights, own, ids[TEXT]).tokens
    if CHAR in ids:
      found[CHAR] = self.characters.encode(params[CHAR], ids[CHAR])
    return found
