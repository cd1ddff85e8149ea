"""What cross-attention looks at: a context of class, tokens, layout or text.

class     label -> one learned token
tokens    ids -> transformer
layout    objects and crop -> ids -> transformer
context   features that are stored with the examples (of a text), as they are
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import runtime
from jmim.nn.nets import token_encoder

TASKS = ("class", "tokens", "layout", "context")


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
    rt: execution choices.
  """

  task: str
  width: int
  vocabulary: int
  length: int
  depth: int
  heads: int
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

  def init(self, key: jax.Array, classes: int) -> method.Tree:
    """Parameters: a table of classes and of none, or those of the network."""
    if self.task == "context":
      return {}
    if self.task == "class":
      return {"classes": jax.random.normal(key, (classes + 1, self.width))}
    ids = jnp.zeros((1, self.length), int)
    return {"tokens": self.net.init(key, ids)["params"]}

  def ids(self, batch: method.Batch) -> jax.Array:
    """[b, length, ...] what stands for the context."""
    if self.task == "class":
      return batch["label"][:, None]
    if self.task in ("tokens", "context"):
      return batch[self.task]
    kinds = batch["objects"][..., 0].astype(jnp.int32)
    boxes = batch["objects"][..., 1:]
    return token_encoder.layout(kinds, boxes, batch["crop"], self.vocabulary)

  def null_ids(self, ids: jax.Array, classes: int) -> jax.Array:
    """The ids of no context: the last class, "none" objects, padding 0."""
    null = {"class": classes, "layout": self.vocabulary - 1}
    return jnp.full_like(ids, null.get(self.task, 0))

  def embed(self, params: method.Tree, ids: jax.Array) -> jax.Array:
    """[b, length] ids -> [b, length, width]; params: those of `init`."""
    if self.task == "context":
      return ids
    if self.task == "class":
      return params["classes"][ids]
    return self.net.apply({"params": params["tokens"]}, ids)
