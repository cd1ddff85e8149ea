"""What cross-attention looks at: a context of class, tokens, layout or text.

class     label -> one learned token
tokens    ids -> transformer
layout    objects and crop -> ids -> transformer
words     ids -> a learned vector of each; 0, which fills up, is a zero one
context   features that are stored with the examples (of a text), as they are
text      ids -> text encoder (`parts/text.py`), trained along or frozen
"""

import dataclasses
import types
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import t5_text
from jmim.methods.parts import text as texts
from jmim.nn.nets import token_encoder

TASKS = ("class", "tokens", "layout", "words", "context", "text")


TEXT = "condition.text"  # key of the encoder in methods
ENCODERS = {"clip": texts.Text, "t5": t5_text.T5Text}
Encoder = texts.Text | t5_text.T5Text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
  """Ids of a batch, and the vectors that stand for them.

  Of the task "context" the vectors [b, length, width] are their own ids.

  Attributes:
    task: one of TASKS.
    width: of the vectors.
    vocabulary: ids of tokens.
    length: tokens.
    depth: blocks of the transformer.
    heads: of 64 in it.
    null: file of the vectors of no text, for the task "context"; "": zeros.
    text: encoder of the task "text"; it knows its own sizes.
    rt: execution choices.
  """

  task: str
  width: int
  vocabulary: int
  length: int
  depth: int
  heads: int
  null: str = ""
  text: Encoder | None = None
  rt: runtime.Runtime

  @property
  def net(self) -> token_encoder.TokenEncoder:
    """The network of tokens and layouts."""
    return token_encoder.TokenEncoder(
      vocabulary=self.vocabulary,
      length=self.length,
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      rt=self.rt,
    )

  @property
  def longest(self) -> int:
    """Tokens that the encoder of a text reads."""
    return self.text.length if self.task == "text" else self.length

  @property
  def pad(self) -> int:
    """The token that fills up a text."""
    return self.text.pad if self.task == "text" else 0

  def entries(self) -> dict[str, method.Input]:
    """What is read of a batch, beside the label."""
    if self.task == "text":
      return self.text.entries(TEXT)
    if self.task in ("tokens", "words"):
      ids = method.Input((self.length,), jnp.int32, self.vocabulary)
      return {"tokens": ids}
    if self.task == "layout":
      objects = (self.length - 2) // 3
      return {"objects": method.Input((objects, 5)), "crop": method.Input((4,))}
    if self.task == "context":
      return {"context": method.Input((self.length, self.width))}
    return {}

  def consts(self) -> dict[str, method.Const]:
    """A frozen encoder; the vectors of no text, where they are not zeros."""
    if self.task == "text":
      return self.text.consts(TEXT)
    if not self.null:
      return {}
    shape = (self.length, self.width)
    init = lambda key: {"context": jax.random.normal(key, shape)}
    return {"null": method.Const(self.null, init, key="method.condition.null")}

  def init(self, key: jax.Array, classes: int) -> method.Tree:
    """Parameters: a table of classes and of none, or those of the network."""
    if self.task == "context":
      return {}
    if self.task == "text":
      own = self.text.init(key)
      return {"text": own} if own else {}
    if self.task == "class":
      return {"classes": jax.random.normal(key, (classes + 1, self.width))}
    if self.task == "words":
      return {"words": jax.random.normal(key, (self.vocabulary, self.width))}
    ids = jnp.zeros((1, self.length), int)
    return {"tokens": self.net.init(key, ids)["params"]}

  def ids(self, batch: method.Batch) -> jax.Array:
    """[b, length, ...] what stands for the context."""
    if self.task == "class":
      return batch["label"][:, None]
    if self.task == "context":
      return batch["context"]
    if self.task in ("tokens", "words", "text"):
      return batch["tokens"]
    kinds = batch["objects"][..., 0].astype(jnp.int32)
    boxes = batch["objects"][..., 1:]
    return token_encoder.layout(kinds, boxes, batch["crop"], self.vocabulary)

  def null_ids(
    self,
    ids: jax.Array,
    classes: int,
    consts: Mapping[str, method.Tree] = types.MappingProxyType({}),
  ) -> jax.Array:
    """The ids of no context, as many as `ids`.

    Args:
      ids: of contexts.
      classes: labels there are; their number stands for none.
      consts: with "null", where the vectors of no text are not zeros.

    Returns:
      the last class, "none" objects, padding 0, an empty text, or those
      vectors.
    """
    if self.task == "text":
      return self.text.empty(ids)
    if self.null:
      return jnp.broadcast_to(consts["null"]["context"], ids.shape)
    null = {"class": classes, "layout": self.vocabulary - 1}
    return jnp.full_like(ids, null.get(self.task, 0))

  def embed(
    self,
    params: method.Tree,
    ids: jax.Array,
    weights: method.Weights | None = None,
  ) -> jax.Array:
    """[b, length] ids -> [b, length, width].

    Args:
      params: those of `init`.
      ids: of contexts.
      weights: of the method, for the task "text".
    """
    if self.task == "context":
      return ids
    if self.task == "text":
      encoder = dataclasses.replace(self.text, rt=self.rt)
      return encoder.encode(weights, params.get("text", {}), ids).tokens
    if self.task == "class":
      return params["classes"][ids]
    if self.task == "words":
      return params["words"][ids] * (ids != self.pad)[..., None]
    return self.net.apply({"params": params["tokens"]}, ids)
