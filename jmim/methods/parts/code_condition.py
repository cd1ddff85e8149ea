"""What codes of an image are generated from: nothing, a class, or a text.

A text is stored features of its tokens, as `context` of an example. Conditions
may be dropped in training, and sampling with guidance compares with none:

    class  the mean of the table of classes, as in the released code
    text   learned vectors, those of a file (of ""), or zeros
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import contexts
from jmim.nn.nets import vq_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeCondition:
  """Which condition, and what stands for none."""

  kind: str = field.value(
    "none", "condition of the network", choices=vq_transformer.KINDS
  )
  classes: int = field.value(0, "labels (kind class)", low=0)
  embed: str = field.value(
    "learned", "how a class is embedded", choices=vq_transformer.EMBEDDINGS
  )
  tokens: int = field.value(77, "tokens of a text", low=1)
  width: int = field.value(512, "width of their features", low=1)
  drop: float = field.value(
    0.0, "share of conditions dropped in training", low=0.0, high=1.0
  )
  null: str = field.value(
    "", "features of no text (.npz); empty: zeros, or learned"
  )
  learn_null: bool = field.value(False, "features of no text are learned")
  prompt: str = field.value(
    "",
    "features of a text (.npz) that is drawn where a batch has none "
    "(--mode=sample)",
    asked=True,
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def context(self) -> contexts.Context:
    """How a text is read."""
    return contexts.Context(
      task="context",
      width=self.width,
      vocabulary=0,
      length=self.tokens,
      depth=0,
      heads=0,
      null=self.null,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """label [], or context [tokens, width].

    Raises:
      ValueError: fields that do not go together.
    """
    key = "condition."
    if (self.kind == "class") != bool(self.classes):
      raise ValueError(
        f"{key}kind {self.kind!r} with {key}classes {self.classes}: classes "
        "are of kind 'class', at least 1"
      )
    if self.drop and self.kind == "none":
      raise ValueError(f"{key}drop {self.drop} with {key}kind 'none'")
    named = [n for n in ("null", "learn_null", "prompt") if getattr(self, n)]
    if named and self.kind != "text":
      raise ValueError(
        f"{key}{named[0]} with {key}kind {self.kind!r}: it is of kind 'text'"
      )
    if self.null and self.learn_null:
      raise ValueError(f"{key}null {self.null!r} with {key}learn_null: one")
    if self.learn_null and not self.drop:
      raise ValueError(f"{key}learn_null with {key}drop 0: never learned")
    if self.kind == "text":
      return self.context.entries()
    spec = method.Input((), jnp.int32, high=self.classes)
    return {"label": spec} if self.kind == "class" else {}

  def consts(self) -> dict[str, method.Const]:
    """The features of no text and of the prompt, where they are of files."""
    if self.kind != "text":
      return {}
    found = self.context.consts()
    if self.prompt:
      asked = dataclasses.replace(self.context, null=self.prompt)
      like = asked.consts()["null"]
      found["prompt"] = dataclasses.replace(like, key="method.condition.prompt")
    return found

  def init(self, key: jax.Array) -> method.Tree:
    """The learned features of no text, if they are."""
    if not self.learn_null:
      return {}
    return {"null": jax.random.normal(key, (self.tokens, self.width))}

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> method.Draws:
    """drop [b] ~ U[0, 1), if any are dropped."""
    if not self.drop:
      return {}
    return {"drop": jax.random.uniform(keys("drop"), shape[:1])}

  def told(self, batch: method.Batch) -> jax.Array | None:
    """Labels [b] or texts [b, tokens, width]; None: nothing is."""
    entry = {"none": None, "class": "label", "text": "context"}[self.kind]
    return batch[entry] if entry else None

  def reads(self) -> tuple[str, ...]:
    """What sampling reads of a batch, beside a label."""
    return ("context",) if self.kind == "text" and not self.prompt else ()

  def wanted(
    self, weights: method.Weights, batch: method.Batch
  ) -> jax.Array | None:
    """As `told`; the prompt, where a batch has no text."""
    if self.kind != "text" or "context" in batch or not self.prompt:
      return self.told(batch)
    one = weights.consts["prompt"]["context"]
    return jnp.broadcast_to(one, (method.batch_size(batch), *one.shape))

  def none(self, weights: method.Weights, told: jax.Array) -> jax.Array:
    """As many conditions that stand for none."""
    if self.kind == "class":
      return jnp.full_like(told, self.classes)
    if self.learn_null:
      return jnp.broadcast_to(weights.params["main"]["null"], told.shape)
    return self.context.null_ids(told, 0, weights.consts)

  def in_training(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array | None:
    """As `told`, some replaced by none."""
    told = self.told(batch)
    if not self.drop:
      return told
    drop = draws["drop"] < self.drop
    drop = drop.reshape(-1, *(1,) * (told.ndim - 1))
    return jnp.where(drop, self.none(weights, told), told)
