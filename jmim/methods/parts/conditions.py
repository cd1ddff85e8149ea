"""What a latent diffusion model is conditioned on: a context, or more channels.

    class     label -> one learned token               cross-attention
    tokens    ids -> transformer                       cross-attention
    layout    objects and crop -> ids -> transformer   cross-attention
    inpaint   E(image with a hole), hole               channels
    superres  image of the latents' side               channels
    semantic  map of classes, half the side twice, 1 x 1 to 3     channels

Contexts are dropped with probability `labels.drop` in training, for guidance.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import labels
from jmim.nn import conv
from jmim.nn.nets import autoencoder
from jmim.nn.nets import token_encoder

CONTEXTS = ("class", "tokens", "layout")
TASKS = ("none", *CONTEXTS, "inpaint", "superres", "semantic")
SEGMENT_CHANNELS = 3
# Entries of a batch that sampling reads, beside the label.
READS = {
  "tokens": ("tokens",),
  "layout": ("objects", "crop"),
  "inpaint": ("image",),
  "superres": ("image",),
  "semantic": ("segmentation",),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
  """Fields and functions of the six tasks.

  Functions take the params of their own networks: the tree of `init`.
  """

  task: str = field.value("none", "kind of condition", choices=TASKS)
  context: int = field.value(512, "width of the context", low=1)
  vocabulary: int = field.value(8192, "ids of tokens", low=2)
  tokens: int = field.value(77, "number of tokens (task tokens)", low=1)
  objects: int = field.value(30, "most objects of a layout", low=1)
  token_depth: int = field.value(16, "blocks of the tokens' encoder", low=0)
  token_heads: int = field.value(8, "heads of 64 in that encoder", low=1)
  transformer: int = field.value(
    0, "blocks of cross-attention to a context; 0: self-attention", low=0
  )
  segments: int = field.value(182, "classes of a semantic map", low=2)
  rt: runtime.Runtime = field.runtime()

  @property
  def token_net(self) -> token_encoder.TokenEncoder:
    """The network of tokens and layouts."""
    layout = self.task == "layout"
    return token_encoder.TokenEncoder(
      vocabulary=self.vocabulary,
      length=3 * self.objects + 2 if layout else self.tokens,
      width=self.context,
      depth=self.token_depth,
      heads=self.token_heads,
      rt=self.rt,
    )

  @property
  def segment_map(self) -> nn.Dense:
    """One-hot classes to channels."""
    return nn.Dense(SEGMENT_CHANNELS, use_bias=False, dtype=self.rt.dtype)

  @property
  def has_context(self) -> bool:
    """Whether the condition is a context for cross-attention."""
    return self.task in CONTEXTS

  def channels(self, latent: int) -> int:
    """Channels it adds to the `latent` ones that are diffused."""
    extra = {
      "inpaint": latent + 1,
      "superres": 3,
      "semantic": SEGMENT_CHANNELS,
    }
    return extra.get(self.task, 0)

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
    if self.has_context != bool(self.transformer):
      raise ValueError(
        f"condition.task {self.task!r} with condition.transformer="
        f"{self.transformer}: a context needs blocks of cross-attention, and "
        "they need a context"
      )
    if (self.task == "class") != bool(classes):
      raise ValueError(f"condition.task {self.task!r} with {classes} classes")
    whole = not first_stage.net or first_stage.read == "images"
    if self.task in ("inpaint", "superres") and not whole:
      raise ValueError(
        f"condition.task {self.task!r} needs first_stage.read='images'"
      )
    if self.task == "superres" and first_stage.factor == 1:
      raise ValueError(
        "condition.task 'superres' needs a first_stage, for its factor"
      )
    if self.task == "semantic" and first_stage.factor not in (1, 4):
      raise ValueError(
        f"condition.task 'semantic' with a first_stage of {first_stage.factor}"
      )
    ids = lambda shape, high: method.Input(shape, jnp.int32, high)
    inputs = {
      "tokens": {"tokens": ids((self.tokens,), self.vocabulary)},
      "layout": {
        "objects": method.Input((self.objects, 5)),
        "crop": method.Input((4,)),
      },
      "semantic": {"segmentation": ids((side, side), self.segments)},
    }
    return inputs.get(self.task, {})

  def init(self, key: jax.Array, classes: int) -> method.Tree:
    """Parameters of what makes the condition."""
    if self.task == "class":
      shape = (classes + 1, self.context)
      return {"classes": jax.random.normal(key, shape)}
    if self.has_context:
      ids = jnp.zeros((1, self.token_net.length), int)
      return {"tokens": self.token_net.init(key, ids)["params"]}
    if self.task == "semantic":
      x = jnp.zeros((1, self.segments))
      return {"segments": self.segment_map.init(key, x)["params"]}
    return {}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """label_drop [b] of contexts of tokens, hole [b, 4]; all ~ U[0, 1)."""
    if self.task in ("tokens", "layout"):
      return {"label_drop": jax.random.uniform(keys("label_drop"), shape[:1])}
    if self.task == "inpaint":
      return {"hole": jax.random.uniform(keys("hole"), (shape[0], 4))}
    return {}

  def ids(self, batch: method.Batch) -> jax.Array | None:
    """[b, n] what stands for the context; None: there is none."""
    if self.task == "class":
      return batch["label"][:, None]
    if self.task == "tokens":
      return batch["tokens"]
    if self.task == "layout":
      kinds = batch["objects"][..., 0].astype(jnp.int32)
      boxes = batch["objects"][..., 1:]
      return token_encoder.layout(kinds, boxes, batch["crop"], self.vocabulary)
    return None

  def null_ids(self, ids: jax.Array, classes: int) -> jax.Array:
    """The ids of no condition: the last class, "none" objects, padding 0."""
    null = {"class": classes, "layout": self.vocabulary - 1, "tokens": 0}
    return jnp.full_like(ids, null[self.task])

  def contexts(
    self, params: method.Tree, ids: jax.Array | None
  ) -> dict[str, jax.Array]:
    """{"context": [b, n, context]} of ids, {} of None."""
    if ids is None:
      return {}
    if self.task == "class":
      return {"context": params["classes"][ids]}
    return {"context": self.token_net.apply({"params": params["tokens"]}, ids)}

  def with_hole(self, batch: method.Batch, key: jax.Array) -> method.Batch:
    """A batch to sample for: it says where the hole is, if the task has one."""
    if self.task != "inpaint":
      return batch
    return {"hole": jax.random.uniform(key, (len(batch["image"]), 4)), **batch}

  def fill(self, made: jax.Array, batch: method.Batch) -> jax.Array:
    """Images made [b, H, W, c], with the batch's own outside of its hole."""
    if self.task != "inpaint":
      return made
    hole = self.hole(batch["hole"], made.shape[1])
    return jnp.where(hole > 0, made, batch["image"])

  def hole(self, u: jax.Array, side: int) -> jax.Array:
    """[b, side, side, 1], 1 in a rectangle of a quarter to half of each side.

    Args:
      u: [b, 4] in [0, 1): extent and corner.
      side: of the image [pixels].
    """
    extent = side * (0.25 + 0.25 * u[:, :2])
    corner = u[:, 2:] * (side - extent)
    at = jnp.arange(side) + 0.5
    low, high = corner[..., None], (corner + extent)[..., None]
    inside = (at > low) & (at < high)  # [b, 2, side]
    both = inside[:, 0, :, None] & inside[:, 1, None, :]
    return both[..., None].astype(jnp.float32)

  def concats(
    self,
    params: method.Tree,
    weights: method.Weights,
    batch: method.Batch,
    first_stage: stages.FirstStage,
  ) -> dict[str, jax.Array]:
    """{"concat": [b, h, w, extra channels]}, or {}.

    Args:
      params: of its own networks.
      weights: of the method, for the first stage.
      batch: with the draw "hole" in it, if the task has one.
      first_stage: encodes the image with a hole.
    """
    f = first_stage.factor
    if self.task == "inpaint":
      hole = self.hole(batch["hole"], batch["image"].shape[1])
      x = jnp.where(hole > 0, -1.0, batch["image"])
      if first_stage.net:
        x, _ = first_stage.net.encode(weights.consts["first_stage"], x)
        x = x if first_stage.codes else autoencoder.posterior(x)[0]
      small = 2 * hole[:, f // 2 :: f, f // 2 :: f] - 1
      return {"concat": jax.lax.stop_gradient(jnp.concatenate([x, small], -1))}
    if self.task == "superres":
      b, side = len(batch["image"]), batch["image"].shape[1] // f
      small = jax.image.resize(batch["image"], (b, side, side, 3), "cubic")
      return {"concat": small}
    if self.task == "semantic":
      x = jax.nn.one_hot(batch["segmentation"], self.segments)
      for _ in range(f // 2):  # factor 4: twice
        x = conv.half(x)
      x = self.segment_map.apply({"params": params["segments"]}, x)
      return {"concat": x.astype(jnp.float32)}
    return {}

  def shown(
    self,
    weights: method.Weights,
    batch: method.Batch,
    first_stage: stages.FirstStage,
    ids: jax.Array | None,
  ) -> dict[str, jax.Array]:
    """context [b, n, d] of ids and concat [b, h, w, c], as the task has them.

    Args:
      weights: of the method; its own are params["main"]["condition"].
      batch: with the draw "hole" in it, if the task has one.
      first_stage: encodes the image with a hole.
      ids: of the context, or of none.
    """
    params = weights.params["main"]["condition"]
    concat = self.concats(params, weights, batch, first_stage)
    return self.contexts(params, ids) | concat

  def in_training(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    first_stage: stages.FirstStage,
    label: labels.Labels,
  ) -> dict[str, jax.Array]:
    """What is shown when some contexts are dropped."""
    ids = self.ids(batch)
    if ids is not None:
      drop = (draws["label_drop"] < label.drop)[:, None]
      ids = jnp.where(drop, self.null_ids(ids, label.classes), ids)
    return self.shown(weights, batch | draws, first_stage, ids)

  def guiding(
    self,
    weights: method.Weights,
    batch: method.Batch,
    first_stage: stages.FirstStage,
    classes: int,
  ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """(what is shown, the same with the context of none)."""
    ids = self.ids(batch)
    null = None if ids is None else self.null_ids(ids, classes)
    show = lambda ids: self.shown(weights, batch, first_stage, ids)
    return show(ids), show(null)
