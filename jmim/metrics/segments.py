"""Agreement of two partitions of a volume, and partitions out of affinities.

With p_ij the share of the voxels in segment i of the guess and j of the truth,

    VOI split = H(guess | truth) = -sum p_ij log2 (p_ij / p_j)         [bits]
    VOI merge = H(truth | guess) = -sum p_ij log2 (p_ij / p_i)
    ARAND     = 1 - 2 P R / (P + R) over pairs of voxels: P, the share of the
                pairs in one segment of the guess that are in one of the
                truth; R, the other way round

as scikit-image has them (`variation_of_information`, `adapted_rand_error`);
voxels of no segment of the truth (0) do not count. An affinity [3, d, h, w]
says how sure a voxel and the one before it along an axis are of one cell.
"""

import heapq

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

LOW, HIGH = 1e-4, 0.9999  # Waterz: of edges that part and that join


def contingency(truth: np.ndarray, guess: np.ndarray) -> scipy.sparse.coo_array:
  """float64 [guess ids, truth ids] voxels in common; truth 0 left out.

  Sparse, each pair that occurs once: a guess may have as many ids as voxels.

  Args:
    truth: whole numbers of any shape.
    guess: of the same shape.
  """
  inside = truth.ravel() != 0
  each = [
    np.unique(x.ravel()[inside], return_inverse=True) for x in (guess, truth)
  ]
  (rows, i), (columns, j) = each
  ones = np.ones(len(i))
  shape = (len(rows), len(columns))
  made = scipy.sparse.coo_array((ones, (i, j)), shape=shape)
  return made.tocsr().tocoo()  # sums what is of the same place


def variation_of_information(
  truth: np.ndarray, guess: np.ndarray
) -> tuple[float, float]:
  """(split, merge) in bits; 0 and 0 of the same partition.

  Args:
    truth: ids of any shape; 0: left out.
    guess: of the same shape.
  """
  counts = contingency(truth, guess)
  p = counts.data / max(counts.data.sum(), 1)

  def conditional(ids):
    whole = np.bincount(ids, p)[ids]
    return -float((p * np.log2(p / whole)).sum()) + 0.0

  return conditional(counts.col), conditional(counts.row)


def adapted_rand_error(truth: np.ndarray, guess: np.ndarray) -> float:
  """1 - F1 over pairs of voxels; 0 of the same partition.

  Args:
    truth: ids of any shape; 0: left out.
    guess: of the same shape.
  """
  counts = contingency(truth, guess)
  pairs = lambda x: float((x * (x - 1)).sum())
  both = pairs(counts.data)
  rows, columns = (
    pairs(np.bincount(ids, counts.data)) for ids in (counts.row, counts.col)
  )
  return 1.0 - 2 * both / (rows + columns) if rows + columns else 0.0


def affinities(cells: np.ndarray) -> np.ndarray:
  """float32 [3, d, h, w], 1 where a voxel and the one before it are of a cell.

  Args:
    cells: ids [d, h, w]; 0 is of none. The first voxels of an axis have 0.
  """
  made = np.zeros((3, *cells.shape), np.float32)
  for axis in range(3):
    later, before = _pair(cells, axis)
    made[axis][_later(axis)] = (later == before) & (later != 0)
  return made


def _later(axis: int) -> tuple[slice, ...]:
  return tuple(slice(1, None) if a == axis else slice(None) for a in range(3))


def _pair(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
  """Voxels along an axis but the first, and those before them."""
  before = tuple(
    slice(None, -1) if a == axis else slice(None) for a in range(3)
  )
  return x[_later(axis)], x[before]


def fragments(
  affinity: np.ndarray, low: float = LOW, high: float = HIGH
) -> np.ndarray:
  """int64 [d, h, w] basins from 1: each voxel joins its surest neighbour.

  Args:
    affinity: [3, d, h, w].
    low: an edge of less joins nothing; voxels of such edges only are 0.
    high: an edge of at least as much always joins.
  """
  shape = affinity.shape[1:]
  number = np.arange(np.prod(shape)).reshape(shape)
  best, to = np.full(shape, -np.inf), number.copy()
  ends = []
  for axis in range(3):
    (later, before), sure = _pair(number, axis), affinity[axis][_later(axis)]
    ends.append((later[sure >= high], before[sure >= high]))
    for own, other in ((later, before), (before, later)):
      better = sure > best.ravel()[own]
      best.ravel()[own[better]] = sure[better]
      to.ravel()[own[better]] = other[better]
  joins = best >= low
  ends.append((number[joins], to[joins]))
  i, j = (np.concatenate([e[side] for e in ends]) for side in (0, 1))
  graph = scipy.sparse.coo_array(
    (np.ones(len(i)), (i, j)), shape=(number.size,) * 2
  )
  _, found = scipy.sparse.csgraph.connected_components(graph, directed=False)
  return np.where(joins, 1 + found.reshape(shape), 0)


def agglomerate(
  basins: np.ndarray, affinity: np.ndarray, threshold: float
) -> np.ndarray:
  """int64 [d, h, w]: basins merged, the pair of the largest mean first.

  Of two regions the mean affinity of all edges between them counts; they merge
  while one is at least the threshold.

  Args:
    basins: as from `fragments`; 0 stays.
    affinity: [3, d, h, w].
    threshold: least mean that merges.
  """
  graph = _region_graph(basins, affinity)
  parent: dict[int, int] = {}
  heap = [
    (-total / count, a, b)
    for a, edges in graph.items()
    for b, (total, count) in edges.items()
    if a < b and total / count >= threshold
  ]
  heapq.heapify(heap)
  while heap:
    mean, a, b = heapq.heappop(heap)
    total, count = graph.get(a, {}).get(b, (0.0, 0))
    if not count or -total / count != mean:
      continue  # merged, or of another mean, since
    parent[b] = a
    del graph[a][b]
    for c, (more, edges) in graph.pop(b).items():
      if c == a:
        continue
      del graph[c][b]
      old = graph[a].get(c, (0.0, 0))
      new = (old[0] + more, old[1] + edges)
      graph[a][c] = graph[c][a] = new
      if new[0] / new[1] >= threshold:
        heapq.heappush(heap, (-new[0] / new[1], *sorted((a, c))))
  return _roots(basins, parent)


Graph = dict[int, dict[int, tuple[float, int]]]


def _region_graph(basins: np.ndarray, affinity: np.ndarray) -> Graph:
  """Region -> neighbour -> (sum of affinities, edges), both ways."""
  parts = []
  for axis in range(3):
    later, before = _pair(basins, axis)
    apart = (later != before) & (later > 0) & (before > 0)
    pair = np.sort(np.stack([later[apart], before[apart]]), axis=0)
    parts.append((*pair, affinity[axis][_later(axis)][apart]))
  a, b, sure = (np.concatenate([p[i] for p in parts]) for i in range(3))
  n = int(basins.max()) + 1
  count = scipy.sparse.csr_array((np.ones(len(a)), (a, b)), shape=(n, n))
  total = scipy.sparse.csr_array((sure, (a, b)), shape=(n, n)).tocoo()
  graph: Graph = {}
  each = zip(*total.coords, total.data, strict=True)
  for i, j, value in each:
    edge = (float(value), int(count[i, j]))
    graph.setdefault(int(i), {})[int(j)] = edge
    graph.setdefault(int(j), {})[int(i)] = edge
  return graph


def _roots(basins: np.ndarray, parent: dict[int, int]) -> np.ndarray:
  """Basins with the number of what they were merged into."""
  table = np.arange(int(basins.max()) + 1)
  for b in parent:
    root = b
    while root in parent:
      root = parent[root]
    table[b] = root
  return table[basins]
