"""Which blocks of keys a block of queries keeps (AdaSpa, Xia et al. 2025).

Tokens are of a video, then of a text. Blocks that hold a text token, the one
with tokens of both too, are text's: they keep all blocks and are kept by all
(a sink), and do not count. Of the n others each row keeps k, as indices
[b, h, n, k], best first; S [b, h, N, N] is that of all N blocks
(`streaming.block_sums`). Fixed patterns of equal size are to compare with.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LEAST = 1 / 3  # sparsity from which heads can keep unequal numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
  """Blocks of a sequence.

  Attributes:
    tokens: of video and text.
    block: tokens of a block; the last may have less.
    text: tokens of the text.
  """

  tokens: int
  block: int
  text: int = 0

  def __post_init__(self):
    if not 0 <= self.text < self.tokens or self.block < 1 or not self.video:
      raise ValueError(
        f"blocks of {self.block} of {self.tokens} tokens, {self.text} of them "
        "text: none of the video alone"
      )

  @property
  def blocks(self) -> int:
    """N: all of them."""
    return -(-self.tokens // self.block)

  @property
  def video(self) -> int:
    """n: those without a text token."""
    if not self.text:
      return self.blocks
    return (self.tokens - self.text) // self.block

  @property
  def start(self) -> int:
    """First token of the text's blocks; that of no block if there is none."""
    return min(self.video * self.block, self.tokens)


class Counts(NamedTuple):
  """Blocks that a row keeps.

  Attributes:
    few: in a head whose recall is high.
    base: in most.
    many: in a head whose recall is low; few + many = 2 base.
  """

  few: int
  base: int
  many: int


def kept(sparsity: float, n: int) -> int:
  """Of n blocks: (1 - sparsity) n, rounded (halves to even), at least one."""
  return max(1, round((1 - sparsity) * n))


def counts(sparsity: float, n: int) -> Counts:
  """Those of (1 + s) / 2, s and (3 s - 1) / 2, whose mean is that of s.

  Also once rounded: `many` is what `few` leaves of twice the base, at most n.

  Args:
    sparsity: s.
    n: blocks of a row.

  Raises:
    ValueError: s below 1/3, where (3 s - 1) / 2 is none.
  """
  if sparsity < LEAST:
    raise ValueError(
      f"sparsity {sparsity:g} below 1/3: heads of low recall would keep more "
      "than all blocks"
    )
  base = kept(sparsity, n)
  many = min(n, 2 * base - kept((1 + sparsity) / 2, n))
  return Counts(2 * base - many, base, many)


def _video(sums, layout):
  return sums[..., : layout.video, : layout.video]


def rows(sums: jax.Array, k: int, layout: Layout) -> jax.Array:
  """The k greatest of each row: [b, h, n, k] int32."""
  return jax.lax.top_k(_video(sums, layout), k)[1]


def by_head(
  sums: jax.Array, number: Counts, threshold: float, layout: Layout
) -> tuple[jax.Array, jax.Array]:
  """Rows as long as their head needs: indices [b, h, n, many], count [b, h].

  Of m heads whose recall with `base` blocks is above the threshold, at most
  half of all, the m best keep `few` and the m worst `many`. A row's first
  `count` indices are kept.

  Args:
    sums: [b, h, N, N].
    number: blocks to keep.
    threshold: of the recall.
    layout: of the blocks.
  """
  top, index = jax.lax.top_k(_video(sums, layout), number.many)
  sink = sums.sum((-2, -1)) - _video(sums, layout).sum((-2, -1))
  share = sink + top[..., : number.base].sum((-2, -1))
  share = share / sums.sum((-2, -1))
  heads = share.shape[-1]
  m = jnp.minimum((share > threshold).sum(-1, keepdims=True), heads // 2)
  rank = jnp.argsort(jnp.argsort(-share, axis=-1), axis=-1)  # 0: the best
  count = jnp.where(rank >= heads - m, number.many, number.base)
  return index, jnp.where(rank < m, number.few, count).astype(jnp.int32)


def whole(sums: jax.Array, k: int, layout: Layout) -> jax.Array:
  """The k n greatest of a head, however many a row: mask [b, h, N, N].

  The greatest recall of all masks of that size; rows may keep nothing.
  """
  video = _video(sums, layout)
  flat = video.reshape(*video.shape[:2], -1)
  _, best = jax.lax.top_k(flat, k * layout.video)
  put = lambda row, at: row.at[at].set(True)
  mask = jax.vmap(jax.vmap(put))(jnp.zeros(flat.shape, bool), best)
  return _with_text(mask.reshape(video.shape), layout)


def columns(sums: jax.Array, k: int, layout: Layout) -> jax.Array:
  """The k columns of greatest sum, in all rows: [b, h, n, k]."""
  video = _video(sums, layout)
  _, best = jax.lax.top_k(video.sum(-2), k)
  return jnp.broadcast_to(best[:, :, None], (*video.shape[:3], k))


def diagonals(sums: jax.Array, k: int, layout: Layout) -> jax.Array:
  """The k diagonals of greatest sum, each closed to a ring: [b, h, n, k]."""
  n = layout.video
  places = np.arange(n)
  turned = (places[:, None] + places) % n  # [row, offset] -> column
  along = jnp.take_along_axis(
    _video(sums, layout), jnp.asarray(turned)[None, None], axis=-1
  ).sum(-2)
  _, best = jax.lax.top_k(along, k)
  return (best[:, :, None] + places[:, None]) % n


def window(sums: jax.Array, k: int, layout: Layout) -> jax.Array:
  """The k nearest blocks, at the ends those inside: [b, h, n, k]."""
  n = layout.video
  first = np.clip(np.arange(n) - k // 2, 0, n - k)
  return jnp.broadcast_to(
    jnp.asarray(first[:, None] + np.arange(k), jnp.int32),
    (*sums.shape[:2], n, k),
  )


def random(
  sums: jax.Array, k: int, layout: Layout, noise: jax.Array
) -> jax.Array:
  """k of each row, those of the greatest noise [b, h, n, n]: [b, h, n, k]."""
  del sums, layout
  return jax.lax.top_k(noise, k)[1]


PATTERNS = {"columns": columns, "diagonals": diagonals, "window": window}


def mask(
  index: jax.Array, layout: Layout, count: jax.Array | None = None
) -> jax.Array:
  """Indices as a mask [b, h, N, N], the text's blocks in it.

  Args:
    index: [b, h, n, k].
    layout: of the blocks.
    count: [b, h] how many of the k are kept; None: all.
  """
  k = index.shape[-1]
  valid = jnp.arange(k) < (k if count is None else count[..., None])
  valid = jnp.broadcast_to(valid, (*index.shape[:2], k))[:, :, None]
  valid = jnp.broadcast_to(valid, index.shape)
  n = layout.video
  put = jnp.vectorize(
    lambda at, valid: jnp.zeros(n, bool).at[at].set(valid),
    signature="(k),(k)->(n)",
  )
  return _with_text(put(index, valid), layout)


def _with_text(video, layout):
  """[b, h, n, n] -> [b, h, N, N]."""
  more = layout.blocks - layout.video
  pad = [(0, 0), (0, 0), (0, more), (0, more)]
  return jnp.pad(video, pad, constant_values=True)


def recall(sums: jax.Array, kept_blocks: jax.Array) -> jax.Array:
  """[b, h]: share of S that a mask [b, h, N, N] keeps."""
  found = jnp.where(kept_blocks, sums, 0.0).sum((-2, -1))
  return found / sums.sum((-2, -1))
