"""Batches of all hosts on a mesh, and results that every host can read."""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from jmim.data import entries
from jmim.parallel import sharding

Arrays = dict[str, np.ndarray]


class Devices:
  """Moves arrays between the hosts and the devices of a mesh.

  Attributes:
    mesh: the devices.
  """

  def __init__(self, mesh: jax.sharding.Mesh):
    """Keeps the mesh."""
    self.mesh = mesh
    self._batch = sharding.batch_sharding(mesh)
    self._everywhere = sharding.replicated(mesh)

  def jit(self, fn: Callable) -> Callable:
    """Compiles a function whose results every host wants to read."""
    # Replicated outputs are whole on every host: np.asarray works there.
    return jax.jit(fn, out_shardings=self._everywhere)

  def put(self, local: Arrays) -> dict[str, jax.Array]:
    """Every host's slice of a batch as global arrays, split over the batch."""
    put = lambda x: jax.make_array_from_process_local_data(self._batch, x)
    return {k: put(local[k]) for k in entries.readable(local)}

  def put_whole(self, batch: Arrays) -> dict[str, jax.Array]:
    """A batch that every host holds whole, split if its length allows."""

    def put(x: np.ndarray) -> jax.Array:
      even = len(x) % self.mesh.size == 0
      where = self._batch if even else self._everywhere
      return jax.make_array_from_callback(x.shape, where, lambda i: x[i])

    return {k: put(batch[k]) for k in entries.readable(batch)}

  def total(self, *counts: int) -> list[int]:
    """Sums over all hosts of numbers that each has counted."""
    if jax.process_count() == 1:
      return [*counts]
    found = multihost_utils.process_allgather(np.array(counts, np.int32))
    return found.sum(0, np.int64).tolist()

  def gather(self, local: np.ndarray) -> np.ndarray:
    """The global batch [b, ...] from every host's slice."""
    if jax.process_count() == 1:
      return local
    whole = jax.make_array_from_process_local_data(self._batch, local)
    return np.asarray(jax.device_put(whole, self._everywhere))
