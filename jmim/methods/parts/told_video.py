"""What a model of clips is told: two kinds of features of a text, and a rate.

    stored   features that lie with the examples: `context` [l, d] of a language
             model, of which the first `context_length` say something, and
             `clip_context` [k, e] of CLIP, all of which do
    label    learned vectors of each class, and of none, in their places

Of stored features none are zeros, or those of a file: of an empty text, or, in
sampling, of what a clip should not be. Where neither CLIP nor a text says
anything, one token of zeros is read: attention over nothing is not defined.
Letters: b batch, l, k tokens, d, e
widths.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import targets
from jmim.nn.nets import video_dit

KINDS = ("stored", "label")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToldVideo:
  """Where the features come from, and how often there are none."""

  kind: str = field.value(
    "stored", "features of texts, or learned ones of labels", choices=KINDS
  )
  length: int = field.value(320, "tokens of the language model", low=1)
  width: int = field.value(6144, "width of the language model", low=1)
  clip_length: int = field.value(77, "tokens of CLIP; 0: no CLIP", low=0)
  clip_width: int = field.value(1024, "width of CLIP", low=1)
  classes: int = field.value(0, "labels, of the kind label", low=0)
  drop: float = field.value(
    0.1, "share of texts dropped in training", low=0.0, high=1.0
  )
  null: str = field.value(
    "", "stored features (.npz) that stand for no text; empty: zeros"
  )
  sizes: str = field.value(
    "none",
    "conditions beside time: size: rows, columns, frames; rate: `fps`, too",
    choices=video_dit.SIZES_TOLD,
  )

  @property
  def shapes(self) -> dict[str, tuple[int, int]]:
    """Entry of a batch -> its [tokens, width]; of CLIP, where there is one."""
    found = {"context": (self.length, self.width)}
    if self.clip_length:
      found["clip_context"] = (self.clip_length, self.clip_width)
    return found

  def inputs(self) -> dict[str, method.Input]:
    """Stored features and their lengths, or labels; frames per second.

    Raises:
      ValueError: fields that do not go together.
    """
    if (self.kind == "label") != bool(self.classes):
      raise ValueError(
        f"told.kind {self.kind!r} with told.classes {self.classes}: labels "
        "have classes, stored features have none"
      )
    if self.null and self.kind != "stored":
      raise ValueError(
        f"told.null {self.null!r} with told.kind {self.kind!r}: vectors of no "
        "label are learned"
      )
    rate = {"fps": method.Input(())} if self.sizes == "rate" else {}
    if self.kind == "label":
      return {"label": method.Input((), jnp.int32, high=self.classes)} | rate
    stored = {name: method.Input(shape) for name, shape in self.shapes.items()}
    length = method.Input((), jnp.int32, high=self.length + 1)
    return stored | {"context_length": length} | rate

  def reads(self) -> tuple[str, ...]:
    """Entries that are read to sample, beside the label."""
    return tuple(name for name in self.inputs() if name != "label")

  def consts(self) -> dict[str, method.Const]:
    """Stored features of no text, where they are not zeros."""
    if not self.null:
      return {}

    def init(key):
      made = {n: jax.random.normal(key, s) for n, s in self.shapes.items()}
      return made | {"context_length": jnp.int32(self.length)}

    key = "method.told.null"
    return {"null": method.Const(self.null, init, key=key, images=False)}

  def init(self, key: jax.Array) -> method.Tree:
    """Parameters: a table for each kind of features, the last row of none."""
    if self.kind == "stored":
      return {}
    keys = jax.random.split(key, len(self.shapes))
    return {
      name: jax.random.normal(k, (self.classes + 1, *shape))
      for k, (name, shape) in zip(keys, self.shapes.items(), strict=True)
    }

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """told_drop [b] ~ U[0, 1); shape: [b, ...]."""
    return {"told_drop": jax.random.uniform(keys("told_drop"), shape[:1])}

  def told(
    self, weights: method.Weights, batch: method.Batch
  ) -> video_dit.Told:
    """Of the texts of a batch.

    Args:
      weights: own parameters, if there are any, are params["main"]["told"].
      batch: see `inputs`.
    """
    if self.kind == "label":
      return self._learned(weights, batch["label"], batch)
    return self._joined(batch, batch["context_length"], batch)

  def none(
    self, weights: method.Weights, batch: method.Batch
  ) -> video_dit.Told:
    """Of no text, as many as there are in a batch."""
    b = method.batch_size(batch)
    if self.kind == "label":
      return self._learned(weights, jnp.full(b, self.classes), batch)
    every = lambda x, *shape: jnp.broadcast_to(x, (b, *shape))
    if not self.null:
      zeros = {name: every(0.0, *shape) for name, shape in self.shapes.items()}
      return self._joined(zeros, every(0), batch)
    null = weights.consts["null"]
    length = jnp.asarray(null["context_length"]).astype(jnp.int32)
    found = {n: every(null[n], *shape) for n, shape in self.shapes.items()}
    return self._joined(found, every(length), batch)

  def shown(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> video_dit.Told:
    """Of the texts, or of none where one is dropped."""
    drop = draws["told_drop"] < self.drop
    choose = lambda none, x: jnp.where(targets.expand(drop, x.ndim), none, x)
    none, told = self.none(weights, batch), self.told(weights, batch)
    return jax.tree.map(choose, none, told)

  def condition(
    self, weights: method.Weights, batch: method.Batch
  ) -> tuple[video_dit.Told, video_dit.Told]:
    """(Of the texts, of none)."""
    return self.told(weights, batch), self.none(weights, batch)

  def _learned(self, weights, label, batch):
    """Rows of the tables; all tokens say something."""
    tables = weights.params["main"]["told"]
    rows = {name: tables[name][label] for name in self.shapes}
    return self._joined(rows, jnp.full(len(label), self.length), batch)

  def _joined(self, features, length, batch):
    """With the rate of the batch, which is told whatever the text is."""
    clip = features["clip_context"] if self.clip_length else None
    of = lambda x: None if x is None else x.astype(jnp.float32)
    valid, text = length.astype(jnp.int32), of(features["context"])
    if not self.clip_length:
      text = jnp.where(targets.expand(valid, text.ndim) > 0, text, 0.0)
      valid = jnp.maximum(valid, 1)
    return video_dit.Told(
      text=text,
      clip=of(clip),
      valid=self.clip_length + valid,
      fps=of(batch["fps"]) if self.sizes == "rate" else None,
    )
