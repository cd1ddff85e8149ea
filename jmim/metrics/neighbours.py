"""Nearest neighbours by cosine similarity, sharded over devices.

    s_ij  = <f_i, g_j> / |f_i| |g_j|
    votes = sum over the k most similar j of class c of exp(s_ij / T)

Each device holds a part of the training rows and walks through it in blocks,
keeping its k best; the k best of all devices are then merged. So at most
[chunk, block] similarities are in memory at a time, whatever the set.
"""

import functools
from collections.abc import Sequence

import einops
import jax
import jax.numpy as jnp
import numpy as np

P = jax.sharding.PartitionSpec


def normalise(x: np.ndarray) -> np.ndarray:
  """Rows of [n, d] scaled to length 1 (rows of zeros stay)."""
  norm = np.linalg.norm(x, axis=1, keepdims=True)
  return x / np.maximum(norm, 1e-12)


def _merge(scores, labels, k):
  """The k best columns of [m, c]; of equal ones the first."""
  best, index = jax.lax.top_k(scores, k)
  return best, jnp.take_along_axis(labels, index, axis=1)


def _walk(train, labels, test, k, block):
  """The k best of one device's rows, a block at a time."""
  blocks = (
    einops.rearrange(train, "(s n) d -> s n d", n=block),
    einops.rearrange(labels, "(s n) -> s n", n=block),
  )

  def visit(best, part):
    rows, classes = part
    # Exact products: TPUs would otherwise round features to bfloat16.
    scores = jnp.einsum("md,nd->mn", test, rows, precision="highest")
    scores = jnp.where(classes < 0, -jnp.inf, scores)
    classes = jnp.broadcast_to(classes, scores.shape)
    joined = [
      jnp.concatenate(x, 1) for x in zip(best, (scores, classes), strict=True)
    ]
    return _merge(*joined, k), None

  m = len(test)
  none = (jnp.full((m, k), -jnp.inf), jnp.full((m, k), -1, labels.dtype))
  return jax.lax.scan(visit, none, blocks)[0]


@functools.partial(jax.jit, static_argnames=("k", "block", "mesh"))
def _nearest(train, labels, test, k, block, mesh):
  axes = mesh.axis_names

  def local(train, labels, test):
    gather = lambda x: einops.rearrange(
      jax.lax.all_gather(x, axes), "p m k -> m (p k)"
    )
    return _merge(
      *map(gather, _walk(train, labels, test=test, k=k, block=block)), k
    )

  return jax.shard_map(
    local,
    mesh=mesh,
    in_specs=(P(axes), P(axes), P()),
    out_specs=P(),
    check_vma=False,
  )(train, labels, test)


def nearest(
  train: np.ndarray,
  labels: np.ndarray,
  test: np.ndarray,
  k: int,
  mesh: jax.sharding.Mesh | None = None,
  chunk: int = 1024,
  block: int = 8192,
) -> tuple[np.ndarray, np.ndarray]:
  """The k most similar training rows of each test row, best first.

  Args:
    train: [n, d] raw features, on every host.
    labels: [n] classes of `train`, at least 0.
    test: [m, d] raw features, on every host.
    k: neighbours; those beyond n have similarity -inf and label -1.
    mesh: devices that share the training rows; None: one device.
    chunk: test rows compared at a time.
    block: training rows a device compares at a time.

  Returns:
    cosine similarities [m, k] float32, labels [m, k] int32.
  """
  if mesh is None:
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("data",))
  share = -(-len(train) // mesh.size)
  block = min(block, share)
  fill = -(-share // block) * block * mesh.size - len(train)
  rows = np.pad(normalise(train).astype(np.float32), ((0, fill), (0, 0)))
  classes = np.pad(labels.astype(np.int32), (0, fill), constant_values=-1)
  where = jax.sharding.NamedSharding(mesh, P(mesh.axis_names))
  everywhere = jax.sharding.NamedSharding(mesh, P())
  rows, classes = place(rows, where), place(classes, where)
  test = normalise(test).astype(np.float32)
  parts = []
  for start in range(0, len(test), chunk):
    part = place(test[start : start + chunk], everywhere)
    parts.append(_nearest(rows, classes, part, k=k, block=block, mesh=mesh))
  similar, near = zip(*parts, strict=True)
  return np.concatenate(similar), np.concatenate(near)


def place(x: np.ndarray, where: jax.sharding.Sharding) -> jax.Array:
  """An array that every host holds whole, as one global array."""
  return jax.make_array_from_callback(x.shape, where, lambda i: x[i])


@functools.partial(jax.jit, static_argnames="classes")
def _count(similar, labels, temperature, classes):
  weight = jnp.exp(similar / temperature)
  rows = jnp.arange(len(labels))[:, None]
  return jnp.zeros((len(labels), classes)).at[rows, labels].add(weight)


def votes(
  similar: np.ndarray,
  labels: np.ndarray,
  ks: Sequence[int],
  temperature: float,
  classes: int,
) -> dict[int, np.ndarray]:
  """k -> votes [m, classes] of the k nearest.

  Args:
    similar: [m, most] cosine similarities, best first.
    labels: [m, most] classes of these neighbours.
    ks: numbers of neighbours, at most `most`.
    temperature: T.
    classes: number of classes.
  """
  return {
    k: np.asarray(_count(similar[:, :k], labels[:, :k], temperature, classes))
    for k in ks
  }
