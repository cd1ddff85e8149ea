"""What a training step sees of a video: a clip, and which of it is given.

    s ~ U{1..S}, start ~ U        frames start, start + s, .. of the video
    n ~ U{0..G}                   of them are given clean: the first, the last,
                                  or as many that are equally far apart

and a mask channel says which are given. One of the random choices of VITON-DiT
(Zheng et al. 2024); the forms are ours.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness

Array = jax.Array
KINDS = ("first", "last", "even")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipChoice:
  """Lengths, strides, and how many frames are given."""

  length: int = field.value(64, "frames of a video, as it is read", low=1)
  frames: int = field.value(16, "frames of a clip in training", low=1)
  stride: int = field.value(
    4, "greatest stride between the frames of a clip in training", low=1
  )
  given: float = field.value(
    0.25, "greatest share of a clip that is given clean", low=0.0, below=1.0
  )

  @property
  def most(self) -> int:
    """Frames that are given at most."""
    return int(self.given * self.frames)

  def check(self, key: str = "clip") -> None:
    """Raises ValueError for clips that a video has not."""
    if 1 + (self.frames - 1) * self.stride > self.length:
      raise ValueError(
        f"{key}.frames={self.frames}, {key}.stride={self.stride}: more than "
        f"the {key}.length={self.length} frames of a video"
      )

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """stride, given_count, given_kind [b] ints; start [b] ~ U[0, 1)."""
    b = shape[:1]
    ints = lambda name, low, high: jax.random.randint(keys(name), b, low, high)
    return {
      "stride": ints("stride", 1, self.stride + 1),
      "start": jax.random.uniform(keys("start"), b),
      "given_count": ints("given_count", 0, self.most + 1),
      "given_kind": ints("given_kind", 0, len(KINDS)),
    }

  def chosen(self, draws: dict[str, Array]) -> Array:
    """[b, t] numbers of the frames of each clip."""
    stride = draws["stride"][:, None]
    room = self.length - (self.frames - 1) * stride
    start = jnp.int32(draws["start"][:, None] * room)
    # A product of float32 may round up to the room itself.
    return jnp.minimum(start, room - 1) + stride * jnp.arange(self.frames)

  def given_frames(self, draws: dict[str, Array]) -> Array:
    """bool [b, t]: those that are given."""
    count, t = draws["given_count"][:, None], jnp.arange(self.frames)
    last = self.frames - 1
    # Of equally many: k is given if it is the place of one, rounded.
    each = jnp.arange(max(1, self.most))
    gaps = jnp.maximum(count[..., None] - 1, 1)
    places = (2 * each * last + gaps) // (2 * gaps)
    even = (places == t[:, None]) & (each < count[..., None])
    kinds = jnp.stack([t < count, t > last - count, even.any(-1)])
    which = draws["given_kind"][None, :, None]
    return jnp.take_along_axis(kinds, which, axis=0)[0]


def frames_at(x: Array, places: Array) -> Array:
  """Frames of [b, T, ...] at places [b, t] -> [b, t, ...]."""
  index = places.reshape(*places.shape, *[1] * (x.ndim - 2))
  return jnp.take_along_axis(x, index, axis=1)
