"""A code in blocks, each of which only large enough times may read.

Yue et al. 2024 (DiTi, yue-zhongqi/diti@ca4ed6c): T times fall in k blocks,

    i(t)   = int(t / (T / k))
    code   = z [0 .. end_i)                              a prefix that grows
    end_i  = int(d / k (i + 1))                          without stages
           = D_j                 i is the last block of stage j
           = D_{j-1} + int(d_j / n_j) (p + 1)            p before it in there

with stages that end at times s_j, have d_j of the d numbers (D_j up to and with
it) and n_j blocks; a block is in the stage of its first time (a stage may have
none: its numbers come with the next block). k = 1 is PDAE
(Zhang et al. 2022): the whole code at all times.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.diffusion import between


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeBlocks:
  """Which part of a code may be read at which time."""

  width: int = field.value(512, "d, numbers of the code", low=1)
  blocks: int = field.value(
    64, "k, blocks of times; 1: the whole code at all of them (PDAE)", low=1
  )
  stages: tuple = field.value(
    (50, 100, 300, 500, 1000),
    "times before which stages end, the last T; (): all blocks are alike",
  )
  stage_widths: tuple = field.value(
    (10, 25, 327, 100, 50), "numbers of the code for each stage"
  )

  def check(self, times: int) -> None:
    """Raises ValueError for blocks that T times cannot have."""
    if self.blocks > times:
      raise ValueError(
        f"blocks.blocks={self.blocks} of {times} times (noise.times)"
      )
    if self.blocks == 1:
      return
    stages, widths = self.stages, self.stage_widths
    if len(stages) != len(widths):
      raise ValueError(
        f"blocks.stages has {len(stages)} entries, stage_widths {len(widths)}"
      )
    if not stages:
      return
    if list(stages) != sorted(set(stages)) or stages[-1] != times:
      raise ValueError(
        f"blocks.stages={stages}: ascending times, the last {times} "
        "(noise.times)"
      )
    if sum(widths) != self.width or min(widths) < 0:
      raise ValueError(
        f"blocks.stage_widths={widths} are {sum(widths)} numbers in all, the "
        f"code has {self.width} (blocks.width)"
      )
    # Numbers of an earlier stage without a block come with the next stage.
    if self._stage_of(times)[-1] + 1 < len(stages):
      raise ValueError(
        f"blocks.stages={stages}: none of {self.blocks} blocks begins in the "
        "last, whose numbers would never be read"
      )

  def index(self, times: int) -> np.ndarray:
    """[T] int block of each time."""
    return np.asarray([int(t / (times / self.blocks)) for t in range(times)])

  def _stage_of(self, times):
    """[k] int stage of each block: that of its first time."""
    first = np.searchsorted(self.index(times), np.arange(self.blocks))
    return np.searchsorted(self.stages, first, side="right")

  def ends(self, times: int) -> np.ndarray:
    """[k] int lengths of the prefixes."""
    if self.blocks == 1:
      return np.asarray([self.width])
    if not self.stages:
      share = self.width / self.blocks
      return np.asarray([int(share * (i + 1)) for i in range(self.blocks)])
    found, stage = [], self._stage_of(times)
    for i, j in enumerate(stage):
      n, before = (stage == j).sum(), (stage < j).sum()
      width, start = self.stage_widths[j], sum(self.stage_widths[:j])
      last = i + 1 == before + n
      found.append(
        start + (width if last else int(width / n) * (i - before + 1))
      )
    return np.asarray(found)

  def _limits(self, t, times):
    """(begin, end) [b, 1] of the newest block at times t [b]."""
    ends = self.ends(times)
    block = jnp.asarray(self.index(times))[t.astype(jnp.int32)]
    begins = np.concatenate([[0], ends[:-1]])
    return tuple(jnp.asarray(a)[block][:, None] for a in (begins, ends))

  def prefix(self, z: jax.Array, t: jax.Array, times: int) -> jax.Array:
    """z [b, d] with zeros from the end of the block of each time t [b]."""
    _, end = self._limits(t, times)
    return jnp.where(jnp.arange(self.width) < end, z, 0.0)

  def newest(self, z: jax.Array, t: jax.Array, times: int) -> jax.Array:
    """`prefix`, of which only the newest block has a gradient."""
    begin, end = self._limits(t, times)
    at = jnp.arange(self.width)
    known = jnp.where(at < begin, jax.lax.stop_gradient(z), 0.0)
    return known + jnp.where((at >= begin) & (at < end), z, 0.0)

  def mixed(
    self,
    a: jax.Array,
    b: jax.Array,
    share: jax.Array | float,
    *,
    first: int,
    last: int,
    times: int,
  ) -> jax.Array:
    """Code a [b, d], whose blocks first .. last - 1 go towards code b's.

    Args:
      a: codes.
      b: codes.
      share: 0 is a, 1 is b in these blocks.
      first: block, from 0.
      last: block after the last.
      times: T.
    """
    ends = np.concatenate([[0], self.ends(times)])
    at = jnp.arange(self.width)
    inside = (at >= ends[first]) & (at < ends[last])
    return jnp.where(inside, between.lerp(a, b, share), a)


def moved(
  z: jax.Array,
  direction: jax.Array,
  std: jax.Array,
  *,
  strength: float,
  keep: int = 0,
) -> jax.Array:
  """z + std strength sqrt(d) u [b, d], u the direction of length 1.

  That is the same as moving standardised codes and taking that back.

  Args:
    z: codes.
    direction: [d], weight of a linear classifier of standardised codes.
    std: [d] of the codes.
    strength: negative: away from the class.
    keep: only so many numbers of the greatest |weight| move, in place of the
      authors' learned gate; 0: all.
  """
  if keep:
    least = jnp.sort(jnp.abs(direction))[-keep]
    direction = jnp.where(jnp.abs(direction) >= least, direction, 0.0)
  unit = direction / jnp.linalg.norm(direction)
  return z + std * strength * len(direction) ** 0.5 * unit
