"""What a latent diffusion model is told: a context, or more channels.

    class     label -> one learned token               cross-attention
    tokens    ids -> transformer                       cross-attention
    layout    objects and crop -> ids -> transformer   cross-attention
    inpaint   E(image with a hole), hole               channels
    superres  image of the latents' side               channels
    semantic  map of classes, half the side twice, 1 x 1 to 3     channels

Contexts are dropped with probability `label_drop` in training, for guidance.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.diffusion import _unet
from jmim.nn import conv
from jmim.nn.nets import autoencoder
from jmim.nn.nets import token_encoder as token_nets

CONTEXTS = ("class", "tokens", "layout")
TASKS = ("none", *CONTEXTS, "inpaint", "superres", "semantic")
SEGMENT_CHANNELS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conditioned(_unet.Convolutional):
  """Fields and functions of the six tasks."""

  task: str = field.value("none", "what it is told", choices=TASKS)
  context: int = field.value(512, "width of the context", low=1)
  vocabulary: int = field.value(8192, "ids of tokens", low=2)
  tokens: int = field.value(77, "their number (task tokens)", low=1)
  objects: int = field.value(30, "of a layout, at most", low=1)
  token_depth: int = field.value(16, "blocks of their encoder", low=0)
  token_heads: int = field.value(8, "heads of 64 there", low=1)
  segments: int = field.value(182, "classes of a semantic map", low=2)

  @property
  def factor(self) -> int:
    """Side of an image over that of what is diffused."""
    return self.stage.size.factor if self.stage else 1

  @property
  def extra_channels(self) -> int:
    """Beside those that are diffused."""
    own = {
      "inpaint": self.channels + 1,
      "superres": 3,
      "semantic": SEGMENT_CHANNELS,
    }
    return own.get(self.task, 0)

  @property
  def token_net(self) -> token_nets.TokenEncoder:
    """Of tokens and layouts."""
    layout = self.task == "layout"
    length = 3 * self.objects + 2 if layout else self.tokens
    return token_nets.TokenEncoder(
      vocabulary=self.vocabulary,
      length=length,
      width=self.context,
      depth=self.token_depth,
      heads=self.token_heads,
      rt=self.rt,
    )

  @property
  def segment_map(self) -> nn.Dense:
    """One-hot classes to channels."""
    return nn.Dense(SEGMENT_CHANNELS, use_bias=False, dtype=self.rt.dtype)

  def inputs(self):
    """Images or moments, and what the task needs.

    Raises:
      ValueError: a task whose condition cannot be made.
    """
    if (self.task == "class") != bool(self.classes):
      raise ValueError(f"task {self.task!r} with {self.classes} classes")
    whole = not self.stage or self.read == "images"
    if self.task in ("inpaint", "superres") and not whole:
      raise ValueError(f"task {self.task!r} needs read='images'")
    if self.task == "superres" and self.factor == 1:
      raise ValueError("task 'superres' needs a first_stage, for its factor")
    if self.task == "semantic" and self.factor not in (1, 4):
      raise ValueError(f"task 'semantic' with a first_stage of {self.factor}")
    side = self.size * self.factor
    ints = lambda shape, high: method.Input(shape, jnp.int32, high)
    more = {
      "tokens": {"tokens": ints((self.tokens,), self.vocabulary)},
      "layout": {
        "objects": method.Input((self.objects, 5)),
        "crop": method.Input((4,)),
      },
      "semantic": {"segmentation": ints((side, side), self.segments)},
    }
    return super().inputs() | more.get(self.task, {})

  def sample_reads(self):
    """What the task is told, but for labels."""
    own = {
      "tokens": ("tokens",),
      "layout": ("objects", "crop"),
      "inpaint": ("image",),
      "superres": ("image",),
      "semantic": ("segmentation",),
    }
    return own.get(self.task, ())

  def init_condition(self, key) -> dict:
    """Parameters of what makes the condition."""
    if self.task == "class":
      shape = (self.classes + 1, self.context)
      return {"classes": jax.random.normal(key, shape)}
    if self.task in CONTEXTS:
      ids = jnp.zeros((1, self.token_net.length), int)
      return {"tokens": self.token_net.init(key, ids)["params"]}
    if self.task == "semantic":
      x = jnp.zeros((1, self.segments))
      return {"segments": self.segment_map.init(key, x)["params"]}
    return {}

  def draw(self, key, batch, step):
    """Those of `Gaussian`; drop [b] of contexts, hole [b, 4] ~ U[0, 1)."""
    found = super().draw(key, batch, step)
    b, k_own = len(found["t"]), jax.random.fold_in(key, 2)
    if self.task in ("tokens", "layout"):
      found["label_drop"] = jax.random.uniform(k_own, (b,))
    if self.task == "inpaint":
      found["hole"] = jax.random.uniform(k_own, (b, 4))
    return found

  def ids(self, batch) -> jax.Array | None:
    """[b, n] what stands for the context; None: there is none."""
    if self.task == "class":
      return batch["label"][:, None]
    if self.task == "tokens":
      return batch["tokens"]
    if self.task == "layout":
      kinds = batch["objects"][..., 0].astype(jnp.int32)
      boxes = batch["objects"][..., 1:]
      return token_nets.layout(kinds, boxes, batch["crop"], self.vocabulary)
    return None

  def nothing(self, ids) -> jax.Array:
    """The ids of no condition: the last class, "none" objects, padding 0."""
    own = {"class": self.classes, "layout": self.vocabulary - 1, "tokens": 0}
    return jnp.full_like(ids, own[self.task])

  def told(self, params, ids) -> dict[str, jax.Array]:
    """{"context": [b, n, context]} of ids, {} of None."""
    if ids is None:
      return {}
    own = params["main"]["condition"]
    if self.task == "class":
      return {"context": own["classes"][ids]}
    return {"context": self.token_net.apply({"params": own["tokens"]}, ids)}

  def hole(self, u) -> jax.Array:
    """[b, H, W, 1], 1 inside a rectangle of a quarter to half of each side."""
    side = self.size * self.factor
    extent = side * (0.25 + 0.25 * u[:, :2])
    corner = u[:, 2:] * (side - extent)
    at = jnp.arange(side) + 0.5
    low, high = corner[..., None], (corner + extent)[..., None]
    inside = (at > low) & (at < high)  # [b, 2, side]
    both = inside[:, 0, :, None] & inside[:, 1, None, :]
    return both[..., None].astype(jnp.float32)

  def beside(self, params, consts, batch, draws) -> dict[str, jax.Array]:
    """{"concat": [b, h, w, extra_channels]}, or {}."""
    if self.task == "inpaint":
      hole, f = self.hole(draws["hole"]), self.factor
      x = jnp.where(hole > 0, -1.0, batch["image"])
      if self.stage:
        x, _ = self.stage.encode(consts["first_stage"], x)
        x = x if self.stage.codes else autoencoder.posterior(x)[0]
      small = 2 * hole[:, f // 2 :: f, f // 2 :: f] - 1
      return {"concat": jax.lax.stop_gradient(jnp.concatenate([x, small], -1))}
    if self.task == "superres":
      shape = (len(batch["image"]), self.size, self.size, 3)
      return {"concat": jax.image.resize(batch["image"], shape, "cubic")}
    if self.task == "semantic":
      x = jax.nn.one_hot(batch["segmentation"], self.segments)
      for _ in range(self.factor // 2):  # 4: twice
        x = conv.half(x)
      own = params["main"]["condition"]["segments"]
      x = self.segment_map.apply({"params": own}, x)
      return {"concat": x.astype(jnp.float32)}
    return {}

  def sample(self, params, extra, consts, batch, key):
    """Images; where there is an image with a hole, the hole is filled."""
    if self.task != "inpaint":
      return super().sample(params, extra, consts=consts, batch=batch, key=key)
    b = len(batch["image"])
    batch = {"hole": jax.random.uniform(key, (b, 4)), **batch}
    made = super().sample(params, extra, consts=consts, batch=batch, key=key)
    return jnp.where(self.hole(batch["hole"]) > 0, made, batch["image"])

  def restore(self, params, extra, consts, batch, key):
    """image [b, H, W, c]: `sample`, to be compared with the batch's own."""
    return {
      "image": self.sample(params, extra, consts=consts, batch=batch, key=key)
    }
