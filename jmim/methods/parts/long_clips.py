"""Clips of any length: key frames, then what is between them.

Which frames are made together, `diffusion.two_pass` says; pieces of the second
pass that are equally long are a batch.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import two_pass
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

Array = jax.Array
# (frames int [n, t], known [b n, t, ...], given bool [t], number) -> made
# [b n, t, ...]: n pieces of each of b clips, those of a clip one by one.
Make = Callable[[np.ndarray, Array, np.ndarray, int], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongClips:
  """How many frames are dressed, and the stride of key frames."""

  frames: int = field.value(
    16, "first frames of a video that are dressed", low=1, asked=True
  )
  stride: int = field.value(
    4,
    "stride of the key frames of more than a clip; 1: one clip after the other",
    low=1,
    asked=True,
  )

  def check(
    self, length: int, most: int, given: int, key: str = "long"
  ) -> None:
    """Raises ValueError for frames that cannot be made.

    Args:
      length: frames of a video.
      most: frames of a clip in training.
      given: frames of it that were given at most.
      key: of this part in the method.
    """
    if self.frames > length:
      raise ValueError(
        f"{key}.frames={self.frames} of the {length} of a video (clip.length)"
      )
    try:
      _, between = two_pass.plan(self.frames, most, self.stride)
    except ValueError as e:
      raise ValueError(f"{key}.{e} (clip.frames)") from e
    needed = 2 if between else int(self.frames > most)
    if given < needed:
      raise ValueError(
        f"{key}.frames={self.frames} in pieces of which {needed} are given: "
        f"training gave {given} at most (clip.given of clip.frames)"
      )

  def sample(self, make: Make, most: int, like: Array) -> Array:
    """What is diffused of all frames, like `like` [b, frames, ...].

    Args:
      make: of pieces.
      most: frames of a piece.
      like: an array of the result's shape and dtype.
    """
    chunks, between = two_pass.plan(self.frames, most, self.stride)
    size = lambda piece: len(piece.frames)
    alike = itertools.groupby(sorted(between, key=size), key=size)
    passes = [[piece] for piece in chunks] + [list(p) for _, p in alike]
    z, b = jnp.zeros_like(like), len(like)
    for number, pieces in enumerate(passes):
      frames = np.array([piece.frames for piece in pieces])
      given = np.array(pieces[0].given)
      known = z[:, frames].reshape(-1, frames.shape[1], *z.shape[2:])
      made = make(frames, known, given, number)
      made = made.reshape(b, *frames.shape, *z.shape[2:])
      fresh = frames[:, ~given]
      made = made[:, :, ~given].reshape(b, fresh.size, *z.shape[2:])
      z = z.at[:, fresh.ravel()].set(made)
    return z


def maker(
  sampling: guided.Guided,
  noise: gaussian.Gaussian,
  network: guided.Network,
  *,
  shown: Any,
  both: Callable[[Any], tuple[Any, Any]],
  batch: method.Batch,
  key: jax.Array,
) -> Make:
  """Pieces by a sampler; frames that are given stay as they are.

  Args:
    sampling: the sampler.
    noise: the process.
    network: see `guided.Guided.denoiser`; it reads "known" and "given".
    shown: arrays with the clip first; "beside": of [b, frames, ...].
    both: of pieces, what is shown -> (with all conditions, for guidance).
    batch: with "index" [b], the numbers of samples, if it has them.
    key: of all samples.
  """

  def make(frames, known, given, number):
    n, t = frames.shape
    told = jax.tree.map(lambda x: jnp.repeat(x, n, axis=0), shown)
    if "beside" in shown:
      pick = lambda x: x[:, frames].reshape(-1, t, *x.shape[2:])
      told["beside"] = jax.tree.map(pick, shown["beside"])
    told |= {"known": known, "given": jnp.broadcast_to(given, known.shape[:2])}
    index = method.numbers(batch)[:, None] * n + jnp.arange(n)
    z = sampling.sample(
      noise,
      network,
      condition=both(told),
      shape=known.shape[1:],
      batch={"index": index.ravel()},
      key=randomness.Keys(key).at(number)("noise"),
    )
    return jnp.where(given[:, None, None, None], known, z)

  return make
