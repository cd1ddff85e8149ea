"""Retrieval by cosine similarity: how high in a gallery the right ones are.

    s_qg  = <f_q, f_g> / |f_q| |f_g|
    N_j   = wrong ones at least as similar as the j-th right one, best first
    AP_q  = mean_j  j / (j + N_j)                mAP = mean_q AP_q
    top-k = share of queries with j + N_j <= k for j = 1

Of equally similar ones the wrong come first, so features that tell nothing are
worth nothing. With one right answer AP is 1 / its rank. The gallery is shared
by all devices; each walks through its part in blocks and counts, so that at
most [chunk, block] similarities are in memory at a time.
"""

import functools

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.metrics import neighbours

P = jax.sharding.PartitionSpec
_NO_ROW, _FILLER = -1, -2  # of what is not there; no id or row is one
# Similarities within it are equal: devices and hosts round one differently.
_SLACK = 1e-6


def wrong_above(
  query: np.ndarray,
  gallery: np.ndarray,
  query_ids: np.ndarray,
  gallery_ids: np.ndarray,
  *,
  itself: np.ndarray | None = None,
  mesh: jax.sharding.Mesh | None = None,
  chunk: int = 256,
  block: int = 8192,
) -> np.ndarray:
  """N_j: what all measures here are made of.

  Args:
    query: [m, d] raw features, on every host.
    gallery: [n, d] raw features, on every host.
    query_ids: whole numbers [m].
    gallery_ids: whole numbers [n]: right for a query of the same one.
    itself: int [m], row of the gallery that is the query itself and does not
      count; None: none is.
    mesh: devices that share the gallery; None: one device.
    chunk: queries compared at a time.
    block: rows of the gallery that a device compares at a time.

  Returns:
    int64 [m, p], p the most right answers of a query; in a row the counts rise,
    and -1 fills up.
  """
  if mesh is None:
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("data",))
  both = np.concatenate([query_ids, gallery_ids])
  ids = np.unique(both, return_inverse=True)[1]  # int32, whatever they were
  asked, answers = np.split(ids.astype(np.int32), [len(query_ids)])
  unit = lambda x: neighbours.normalise(x.astype(np.float64)).astype("f4")
  query, gallery = unit(query), unit(gallery)
  right = _right(asked, answers, itself)
  rows, own, block = _shared(gallery, answers, mesh, block)
  everywhere = jax.sharding.NamedSharding(mesh, P())
  put = lambda x: neighbours.place(x, everywhere)
  mine = np.full(len(query), _NO_ROW, np.int32)
  mine = mine if itself is None else np.asarray(itself, np.int32)
  counts = []
  for start in range(0, len(query), chunk):
    part = slice(start, start + chunk)
    there = right[part] >= 0
    found = np.where(there, right[part], 0)
    least = np.einsum("md,mpd->mp", query[part], gallery[found])
    asked_of = (put(query[part]), put(asked[part]), put(mine[part]))
    above = _count(
      rows, own, asked_of, put(least - _SLACK), block=block, mesh=mesh
    )
    last = np.iinfo(np.int64).max  # sorted behind all counts
    above = np.sort(np.where(there, np.asarray(above, np.int64), last), 1)
    counts.append(np.where(above == last, -1, above))
  return np.concatenate(counts)


def _right(
  asked: np.ndarray, answers: np.ndarray, itself: np.ndarray | None
) -> np.ndarray:
  """int64 [m, p]: rows of the gallery that are right; -1 fills up."""
  order = np.argsort(answers, kind="stable")
  starts = np.searchsorted(answers[order], asked, side="left")
  ends = np.searchsorted(answers[order], asked, side="right")
  places = starts[:, None] + np.arange(max(1, (ends - starts).max()))
  there = places < ends[:, None]
  found = np.where(there, order[np.where(there, places, 0)], -1)
  if itself is not None:
    found = np.where(found == np.asarray(itself)[:, None], -1, found)
  return found


def _shared(
  gallery: np.ndarray, ids: np.ndarray, mesh: jax.sharding.Mesh, block: int
) -> tuple[jax.Array, jax.Array, int]:
  """The gallery over all devices, its ids with their rows, a block's length."""
  share = -(-len(gallery) // mesh.size)
  block = min(block, share)
  fill = -(-share // block) * block * mesh.size - len(gallery)
  rows = np.pad(gallery, ((0, fill), (0, 0)))
  own = np.stack([ids, np.arange(len(ids), dtype=np.int32)], 1)
  own = np.pad(own, ((0, fill), (0, 0)), constant_values=_FILLER)
  where = jax.sharding.NamedSharding(mesh, P(mesh.axis_names))
  put = lambda x: neighbours.place(x, where)
  return put(rows), put(own), block


@functools.partial(jax.jit, static_argnames=("block", "mesh"))
def _count(rows, own, asked_of, least, *, block, mesh):
  """[m, p]: rows with another id that are as similar as `least` or more."""
  axes = mesh.axis_names

  def local(rows, own, asked_of, least):
    query, ids, itself = asked_of
    parts = (
      einops.rearrange(rows, "(s n) d -> s n d", n=block),
      einops.rearrange(own, "(s n) k -> s n k", n=block),
    )

    def visit(total, part):
      rows, own = part
      # Exact products: TPUs would otherwise round features to bfloat16.
      similar = jnp.einsum("md,nd->mn", query, rows, precision="highest")
      wrong = (own[:, 0] != ids[:, None]) & (own[:, 0] != _FILLER)
      wrong &= own[:, 1] != itself[:, None]
      similar = jnp.where(wrong, similar, -jnp.inf)
      above = lambda bound: (similar >= bound[:, None]).sum(1)
      return total + jax.lax.map(above, least.T).T, None

    start = jnp.zeros(least.shape, jnp.int32)
    return jax.lax.psum(jax.lax.scan(visit, start, parts)[0], axes)

  return jax.shard_map(
    local,
    mesh=mesh,
    in_specs=(P(axes), P(axes), P(), P()),
    out_specs=P(),
    check_vma=False,
  )(rows, own, asked_of, least)


def average_precision(above: np.ndarray) -> np.ndarray:
  """[m] in 0 .. 1 of `wrong_above`; NaN where nothing is right."""
  there = above >= 0
  nth = np.arange(1, above.shape[1] + 1)
  precision = np.where(there, nth / (nth + np.maximum(above, 0)), 0.0)
  count = there.sum(1)
  return np.where(count, precision.sum(1) / np.maximum(count, 1), np.nan)


def found(above: np.ndarray, k: int) -> np.ndarray:
  """[m] 1 where a right one is among the k most similar, 0, or NaN.

  Args:
    above: of `wrong_above`.
    k: how many are looked at, at least 1.
  """
  first = above[:, 0]
  return np.where(first < 0, np.nan, (first < k).astype(np.float64))


def in_table(
  scores: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """How many wrong ones come before the right one, in both directions.

  Those that are equally high come before it.

  Args:
    scores: [n, k], of whatever kind, the higher the better.
    own: int [n], the column that is right for each row.

  Returns:
    int [n] of the rows; and of the columns that are right for some row, for
    which the best of their rows counts.
  """
  n, k = scores.shape
  right = np.arange(k) == own[:, None]
  mine = scores[np.arange(n), own]
  of_rows = ((scores >= mine[:, None] - _SLACK) & ~right).sum(1)
  best = np.where(right, scores, -np.inf).max(0)
  of_columns = ((scores >= best - _SLACK) & ~right).sum(0)
  return of_rows, of_columns[right.any(0)]
