"""Batches from the host to the devices, some ahead of need."""

import collections
from collections.abc import Container
from collections.abc import Iterator
from typing import Any

import jax

from jmim.core.settings import hardware
from jmim.data import pipeline
from jmim.data import sources


def batches(
  source: sources.Source,
  spec: pipeline.Spec,
  names: Container[str],
  where: jax.sharding.Sharding,
  start: int = 0,
  ahead: int = hardware.Hardware.prefetch,
) -> Iterator[dict[str, jax.Array]]:
  """Global training batches on the devices, from step `start` on.

  Args:
    source: of the training split.
    spec: of the host's part of the pipeline.
    names: entries that travel; see `entries.sent`.
    where: sharding of dimension 0.
    start: step of the first batch.
    ahead: batches whose copy is started before they are asked for.

  Closing the iterator ends the threads behind it.
  """
  stream = pipeline.training_batches(
    source,
    spec,
    start_step=start,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  ready = collections.deque()
  try:
    for batch in stream:
      ready.append(_put({k: batch[k] for k in batch if k in names}, where))
      if len(ready) > ahead:
        yield ready.popleft()
  finally:
    stream.close()


def _put(batch: Any, where: jax.sharding.Sharding) -> Any:
  """Every host's slice as one global array."""
  put = lambda x: jax.make_array_from_process_local_data(where, x)
  return jax.tree.map(put, batch)
