"""The garment that a clip is told: a picture of it, or cut out of a frame.

    stored   the entry `read`: the garment by itself
    video    frame r ~ U{0..T-1} of the whole video, at its mask's box, with 0
             around the mask, at the size of such a picture
    clip     the same of a frame of the clip: its pose leaks, which is why the
             frame is to be another (kept to compare with)

When a clip is dressed it is told `asked`, a stored picture of what is asked
for. An embedding of the picture (CLIP's, say) may be stored beside each,
`<entry>_embedding` [s, e].
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import clip_choice

Array = jax.Array
SOURCES = ("stored", "video", "clip")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Garments:
  """Where garments are, and of which size."""

  source: str = field.value(
    "video", "garment that is told in training", choices=SOURCES
  )
  size: tuple = field.value((512, 384), "height and width [pixels]")
  read: str = field.value("garment", "entry of the garment that is worn")
  asked: str = field.value(
    "other", "entry of the garment that a clip is dressed in"
  )
  tokens: int = field.value(
    0, "vectors of a stored embedding of a garment; 0: there is none", low=0
  )
  width: int = field.value(1024, "width of these vectors", low=1)

  def check(self, multiple: int, key: str = "garments") -> None:
    """Raises ValueError for sides that are no multiples of so many pixels."""
    if len(self.size) != 2 or any(n % multiple for n in self.size):
      raise ValueError(
        f"{key}.size={self.size}: height and width, multiples of {multiple} "
        "pixels (a patch)"
      )

  @property
  def worn(self) -> tuple[str, ...]:
    """Entries that are read in training."""
    stored = (self.read,) if self.source == "stored" else ()
    return stored + ((_embedding(self.read),) if self.tokens else ())

  @property
  def wanted(self) -> tuple[str, ...]:
    """Entries that are read when a clip is dressed."""
    more = (_embedding(self.asked),) if self.tokens else ()
    return (self.asked, *more)

  def inputs(self, channels: int) -> dict[str, method.Input]:
    """Pictures [h, w, c] and embeddings [s, e], worn and asked for."""
    picture = method.Input((*self.size, channels))
    vectors = method.Input((self.tokens, self.width))
    pictures = (self.read, self.asked)
    return {
      name: picture if name in pictures else vectors
      for name in (*self.worn, *self.wanted)
    }

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """reference [b] ~ U[0, 1), where a frame is cut out of."""
    if self.source == "stored":
      return {}
    return {"reference": jax.random.uniform(keys("reference"), shape[:1])}

  def picture(
    self,
    batch: method.Batch,
    draws: method.Draws,
    *,
    frames: Array,
    masks: Array,
    chosen: Array,
  ) -> Array:
    """[b, h, w, c] what is worn, in training.

    Args:
      batch: with the stored picture.
      draws: of `draw`.
      frames: [b, T, H, W, c], the whole video.
      masks: [b, T, H, W], 1 at the garment.
      chosen: [b, t] numbers of the clip's frames.
    """
    if self.source == "stored":
      return batch[self.read]
    among = chosen
    if self.source == "video":
      every = jnp.arange(frames.shape[1])
      among = jnp.broadcast_to(every, (len(frames), len(every)))
    last = among.shape[1] - 1
    at = jnp.minimum(jnp.int32(draws["reference"] * (last + 1)), last)
    place = jnp.take_along_axis(among, at[:, None], axis=1)
    image = clip_choice.frames_at(frames, place)[:, 0]
    mask = clip_choice.frames_at(masks, place)[:, 0]
    return cut(image, mask, self.size)

  def embedding(self, batch: method.Batch, name: str) -> Array | None:
    """[b, s, e] of an entry, if there is one."""
    return batch[_embedding(name)] if self.tokens else None


def _embedding(name: str) -> str:
  """Entry of the embedding of an entry."""
  return f"{name}_embedding"


def cut(images: Array, masks: Array, size: tuple[int, int]) -> Array:
  """The box of each mask, stretched to a size (bilinear); 0 around the mask.

  Args:
    images: [b, H, W, c].
    masks: [b, H, W], 0 or 1; of an empty one the result is 0.
    size: (h, w) of the result [pixels].
  """

  def along(there, n):
    """[n, N] weights of N places, between the first and last that are there."""
    every = jnp.arange(len(there))
    first = jnp.argmax(there)
    count = len(there) - jnp.argmax(there[::-1]) - first
    at = first + (jnp.arange(n) + 0.5) * count / n - 0.5
    at = jnp.clip(at, first, first + count - 1)  # nothing from beside the box
    return jnp.maximum(0.0, 1.0 - jnp.abs(at[:, None] - every))

  def one(image, mask):
    rows, columns = (
      along((mask > 0).any(1 - a), n) for a, n in enumerate(size)
    )
    seen = jnp.where(mask[..., None] > 0, image, 0.0)
    return jnp.einsum("yh,xw,hwc->yxc", rows, columns, seen)

  return jax.vmap(one)(images, masks)
