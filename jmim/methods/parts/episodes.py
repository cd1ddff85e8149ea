"""Episodes of few-shot tasks: a query and supports of one class, with masks.

Each example is an episode: scenes [m, H, W, 3] of which the first is the query,
and masks [m, H, W] of the class in each, 0 or 1. Stored as such, the scenes are
one of `data.pictures`; of single images, each with a mask, `data.group` and
`data.members` make them: their entry is "image" then, and each has a label.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness

# How else a query is segmented: with all supports, none, or those of the next
# example of another class.
KINDS = ("all", "alone", "other")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Episodes:
  """What an example holds, and how much of it is shown."""

  scenes: int = field.value(6, "scenes of an example, the query first", low=2)
  read: str = field.value("scenes", "entry of a batch that holds them")
  masks: str = field.value("masks", "entry of a batch that holds their masks")
  classes: int = field.value(8, "labels there are", low=1)
  labels: str = field.value(
    "episode",
    "whether a label is stored per episode, or per scene (groups by another "
    "id)",
    choices=("episode", "scene"),
  )
  shots: int = field.value(
    2, "supports of a training episode, of which 1 to all are shown", low=1
  )
  test_shots: int = field.value(
    1, "supports of a test episode", low=1, asked=True
  )
  threshold: float = field.value(
    0.25,
    "least brightness of a pixel of the class, as a share of the brightest",
    low=0.0,
    below=1.0,
  )

  def inputs(self, side: int) -> dict[str, method.Input]:
    """Scenes, masks and labels, of that side in pixels.

    Raises:
      ValueError: more supports than there are scenes.
    """
    for name in ("shots", "test_shots"):
      if getattr(self, name) >= self.scenes:
        raise ValueError(
          f"episode.{name}={getattr(self, name)} of episode.scenes="
          f"{self.scenes}, one of which is the query"
        )
    images = method.Input((self.scenes, side, side, 3))
    masks = method.Input((self.scenes, side, side), jnp.int32, high=2)
    each = (self.scenes,) if self.labels == "scene" else ()
    label = method.Input(each, jnp.int32, high=self.classes)
    return {self.read: images, self.masks: masks, "label": label}

  def training(self, batch: method.Batch) -> tuple[jax.Array, jax.Array]:
    """(scenes, masks) [b, 1 + shots, H, W, 3], masks of -1 and 1."""
    return self._first(batch, 1 + self.shots)

  def testing(
    self, batch: method.Batch, kind: str = ""
  ) -> tuple[jax.Array, jax.Array]:
    """The same of 1 + test_shots scenes; kind: "", or one of KINDS."""
    if kind == "other":
      batch = self.exchanged(batch)
    return self._first(
      batch, self.scenes if kind == "all" else 1 + self.test_shots
    )

  def label(self, batch: method.Batch) -> jax.Array:
    """[b] the class of each episode."""
    label = batch["label"]
    return label[:, 0] if self.labels == "scene" else label

  def _first(self, batch, n):
    masks = 2.0 * batch[self.masks][:, :n, ..., None] - 1.0
    return batch[self.read][:, :n], jnp.repeat(masks, 3, axis=-1)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """shots [b] in 1 .. n, how many are shown; order [b, n] ~ U[0, 1)."""
    b, n = shape[0], self.shots
    return {
      "shots": jax.random.randint(keys("shots"), (b,), 1, n + 1),
      "order": jax.random.uniform(keys("order"), (b, n)),
    }

  def shown(self, draws: method.Draws) -> jax.Array:
    """[b, n] bool: the drawn number of supports, those of lowest order."""
    rank = draws["order"].argsort(1).argsort(1)
    return rank < draws["shots"][:, None]

  def exchanged(self, batch: method.Batch) -> method.Batch:
    """Supports of the next example of another class; of none: one's own.

    The batch is a ring, so what comes out depends on the others in it.
    """
    label = self.label(batch)
    b = len(label)
    i = jnp.arange(b)
    away = (i - i[:, None]) % b
    other = label != label[:, None]
    # One's own is `b` away where no other class is.
    j = jnp.where(other, away, b + away).argmin(1)
    change = lambda x: jnp.concatenate([x[:, :1], x[j][:, 1:]], axis=1)
    names = (self.read, self.masks)
    return batch | {name: change(batch[name]) for name in names}

  def binary(self, image: jax.Array) -> jax.Array:
    """bool [b, h, w] of images of masks [b, h, w, 3]: levels of 8 bits."""
    levels = jnp.floor(127.5 * jnp.clip(image, -1, 1) + 127.5).mean(-1)
    return levels > self.threshold * levels.max((1, 2), keepdims=True)

  def described(
    self,
    batch: method.Batch,
    scenes: jax.Array,
    *,
    masks: jax.Array,
    found: jax.Array,
  ) -> dict[str, jax.Array]:
    """What the evaluator `episodes` reads of test episodes.

    Args:
      batch: of the labels.
      scenes: as of `testing`.
      masks: as of `testing`.
      found: [b, H, W, 3], an image of the query's mask.
    """
    return {
      "support": scenes[:, 1],
      "support_mask": masks[:, 1, ..., 0] > 0,
      "image": scenes[:, 0],
      "truth": masks[:, 0, ..., 0] > 0,
      "mask": self.binary(found),
      "class": self.label(batch),
    }


def latents(
  encode: Callable[[method.Batch, method.Draws], jax.Array],
  images: Sequence[jax.Array],
  shape: tuple[int, int, int],
  noise: jax.Array | None = None,
  *,
  random: bool = False,
) -> tuple[jax.Array, ...]:
  """Latents [b, m, h, w, c] of several kinds of images of episodes.

  Args:
    encode: of a first stage: {"image": [n, H, W, 3]}, draws -> [n, h, w, c].
    images: k arrays [b, m, H, W, 3].
    shape: (h, w, c).
    noise: [b, k, m, h, w, c] of the posterior; None: its mean.
    random: whether there is a posterior.
  """
  both = jnp.stack(images, 1)
  outer = both.shape[:3]
  noise = jnp.zeros(shape) if noise is None else noise
  noise = jnp.broadcast_to(noise, (*outer, *shape)).reshape(-1, *shape)
  flat = {"image": both.reshape(-1, *both.shape[3:])}
  z = encode(flat, {"posterior": noise} if random else {})
  return tuple(jnp.moveaxis(z.reshape(*outer, *shape), 1, 0))
