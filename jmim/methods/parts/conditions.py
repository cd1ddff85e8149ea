"""What a latent diffusion model is conditioned on: a context, or more channels.

    class, tokens, layout, context, text
                             cross-attention, see `parts/contexts.py`
    inpaint, superres, lowres, semantic  channels, see `parts/channels.py`

Contexts are dropped with probability `labels.drop` in training, for guidance.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.diffusion import targets
from jmim.methods.parts import channels
from jmim.methods.parts import contexts
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import labels

TASKS = ("none", *contexts.TASKS, *channels.TASKS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
  """Fields and functions of the tasks.

  Functions take the params of their own networks: the tree of `init`.
  """

  task: str = field.value("none", "kind of condition", choices=TASKS)
  context: int = field.value(
    512, "width of the context; that of text is its encoder's", low=1
  )
  vocabulary: int = field.value(8192, "ids of tokens", low=2)
  tokens: int = field.value(77, "tokens of a text", low=1)
  null: str = field.value("", "features of no text (.npz); empty: zeros")
  objects: int = field.value(30, "most objects of a layout", low=1)
  token_depth: int = field.value(16, "blocks of the tokens' encoder", low=0)
  token_heads: int = field.value(8, "heads of 64 in that encoder", low=1)
  transformer: int = field.value(
    0, "blocks of cross-attention to a context; 0: self-attention", low=0
  )
  text: contexts.Encoder = field.part(contexts.ENCODERS, "encoder of texts")
  segments: int = field.value(182, "classes of a semantic map", low=2)
  reduction: int = field.value(8, "image over reduced side (lowres)", low=2)
  rt: runtime.Runtime = field.runtime()

  @property
  def contexts(self) -> contexts.Context | None:
    """What makes a context, if the task has one."""
    if self.task not in contexts.TASKS:
      return None
    length = {"class": 1, "layout": 3 * self.objects + 2}
    same = ("task", "vocabulary", "null", "text", "rt")
    return contexts.Context(
      **{name: getattr(self, name) for name in same},
      width=self.text.width if self.task == "text" else self.context,
      length=length.get(self.task, self.tokens),
      depth=self.token_depth,
      heads=self.token_heads,
    )

  @property
  def channels(self) -> channels.Channels | None:
    """What makes more channels, if the task has them."""
    if self.task not in channels.TASKS:
      return None
    options = {"segments": self.segments, "reduction": self.reduction}
    return channels.Channels(task=self.task, rt=self.rt, **options)

  def inputs(
    self, side: int, first_stage: stages.FirstStage, classes: int
  ) -> dict[str, method.Input]:
    """What the task reads of a batch.

    Args:
      side: of the image [pixels].
      first_stage: between the image and what is diffused.
      classes: labels there are.

    Raises:
      ValueError: a task whose condition cannot be made.
    """
    if bool(self.contexts) != bool(self.transformer):
      raise ValueError(
        f"condition.task {self.task!r}, condition.transformer "
        f"{self.transformer}: a "
        "context needs blocks of cross-attention, and they need a context"
      )
    if (self.task == "class") != bool(classes):
      raise ValueError(f"condition.task {self.task!r} with {classes} classes")
    if self.null and self.task != "context":
      raise ValueError(f"condition.null with condition.task {self.task!r}")
    if self.channels:
      self.channels.check(first_stage, side)
    return self._entries(side)

  def consts(self) -> dict[str, method.Const]:
    """A frozen text encoder, or features of no text that are not zeros."""
    return self.contexts.consts() if self.contexts else {}

  def _entries(self, side):
    """Of a batch, beside image and label."""
    if self.contexts:
      return self.contexts.entries()
    return self.channels.entries(side) if self.channels else {}

  def reads(self) -> tuple[str, ...]:
    """Entries of a batch that sampling reads, beside the label."""
    if self.task in channels.RESTORED:
      return ("image",)
    return tuple(self._entries(1))

  def init(self, key: jax.Array, classes: int) -> method.Tree:
    """Parameters of what makes the condition."""
    if self.contexts:
      return self.contexts.init(key, classes)
    return self.channels.init(key) if self.channels else {}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """label_drop [b] of contexts of tokens, hole [b, 4]; all ~ U[0, 1)."""
    if self.contexts and self.task != "class":  # whose labels draw it
      return {"label_drop": jax.random.uniform(keys("label_drop"), shape[:1])}
    return self.channels.draw(keys, shape[0]) if self.channels else {}

  def shown(
    self,
    weights: method.Weights,
    batch: method.Batch,
    first_stage: stages.FirstStage,
    ids: jax.Array | None,
  ) -> dict[str, jax.Array]:
    """context [b, n, d] of ids, or concat [b, h, w, c], or nothing.

    Args:
      weights: of the method; its own are params["main"]["condition"].
      batch: with the draw "hole" in it, if the task has one.
      first_stage: encodes the image with a hole.
      ids: of the context, or of none; None: the task has no context.
    """
    # A checkpoint keeps no empty tree, that of a task without parameters.
    params = weights.params["main"].get("condition", {})
    if ids is not None:
      return {"context": self.contexts.embed(params, ids, weights)}
    if not self.channels:
      return {}
    return {"concat": self.channels.make(params, weights, batch, first_stage)}

  def in_training(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    first_stage: stages.FirstStage,
    label: labels.Labels,
  ) -> dict[str, jax.Array]:
    """What is shown when some contexts are dropped."""
    ids, null = self._ids(weights, batch, label.classes)
    if ids is not None:
      drop = draws["label_drop"] < label.drop
      ids = jnp.where(targets.expand(drop, ids.ndim), null, ids)
    return self.shown(weights, batch | draws, first_stage, ids)

  def guiding(
    self,
    weights: method.Weights,
    batch: method.Batch,
    first_stage: stages.FirstStage,
    classes: int,
  ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """(what is shown, the same with the context of none)."""
    ids, null = self._ids(weights, batch, classes)
    shown = self.shown(weights, batch, first_stage, ids)
    if ids is None:  # channels are shown always, and made once
      return shown, shown
    return shown, self.shown(weights, batch, first_stage, null)

  def _ids(self, weights, batch, classes):
    """(ids of the context, those of none) [b, n, ...]; None: no context."""
    if not self.contexts:
      return None, None
    ids = self.contexts.ids(batch)
    return ids, self.contexts.null_ids(ids, classes, weights.consts)
