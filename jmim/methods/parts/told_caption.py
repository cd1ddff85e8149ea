"""A caption as vectors of its tokens, which are zeros where it is dropped.

    context  features [l, d] of a text encoder, stored with the examples
    words    ids [l] of words -> rows of a learned table, zeros at padding
    text     ids [l] -> a text encoder, frozen or trained along

No caption is zeros for the network that reads the vectors, not for what comes
behind its first layers: what they make of zeros is learned with the captions
that are dropped (MicroDiT). Letters: b batch, l tokens, d width.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.diffusion import targets
from jmim.methods.parts import contexts

KINDS = ("context", "words", "text")
TEXT = "caption.text"  # key of the encoder in methods


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToldCaption:
  """Where the vectors come from, and how often there are none."""

  kind: str = field.value(
    "context", "stored features, words, or texts", choices=KINDS
  )
  length: int = field.value(
    77, "tokens of a caption; that of text is its encoder's", low=1
  )
  width: int = field.value(
    1024, "width of a token; that of text is its encoder's", low=1
  )
  vocabulary: int = field.value(2, "ids of words, 0 fills up", low=2)
  drop: float = field.value(
    0.1, "share of captions dropped in training", low=0.0, high=1.0
  )
  text: contexts.Encoder = field.part(contexts.ENCODERS, "encoder of texts")
  rt: runtime.Runtime = field.runtime()

  @property
  def context(self) -> contexts.Context:
    """What makes the vectors."""
    of_text = self.kind == "text"
    return contexts.Context(
      task=self.kind,
      width=self.text.width if of_text else self.width,
      vocabulary=self.vocabulary,
      length=self.text.length if of_text else self.length,
      depth=0,
      heads=1,
      text=self.text,
      rt=self.rt,
    )

  @property
  def shape(self) -> tuple[int, int]:
    """(l, d)."""
    return self.context.length, self.context.width

  def inputs(self) -> dict[str, method.Input]:
    """context [l, d], or tokens [l].

    Raises:
      ValueError: an encoder that cannot be built.
    """
    if self.kind == "text":
      return self.text.entries(TEXT)
    return self.context.entries()

  def consts(self) -> dict[str, method.Const]:
    """A frozen text encoder."""
    return self.text.consts(TEXT) if self.kind == "text" else {}

  def init(self, key: jax.Array) -> method.Tree:
    """Parameters: a table of words, or an encoder that is trained along."""
    return self.context.init(key, 0)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """caption_drop [b] ~ U[0, 1); shape: [b, ...]."""
    return {"caption_drop": jax.random.uniform(keys("caption_drop"), shape[:1])}

  def vectors(self, weights: method.Weights, batch: method.Batch) -> jax.Array:
    """[b, l, d] float32, of all captions.

    Args:
      weights: own parameters, if there are any, are params["main"]["caption"].
      batch: has context or tokens.
    """
    # A checkpoint keeps no empty tree.
    params = weights.params["main"].get("caption", {})
    ids = self.context.ids(batch)
    return self.context.embed(params, ids, weights).astype(jnp.float32)

  def shown(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array:
    """[b, l, d], zeros where a caption is dropped."""
    made = self.vectors(weights, batch)
    drop = targets.expand(draws["caption_drop"] < self.drop, made.ndim)
    return jnp.where(drop, 0.0, made)

  def condition(
    self, weights: method.Weights, batch: method.Batch
  ) -> tuple[jax.Array, jax.Array]:
    """([b, l, d] of the captions, the same of none)."""
    made = self.vectors(weights, batch)
    return made, jnp.zeros_like(made)
