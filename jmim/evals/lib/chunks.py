"""Many rows in batches of a few sizes, so that few programs are compiled."""

from collections.abc import Callable
from collections.abc import Mapping

import jax
import numpy as np

from jmim.core import errors

Output = np.ndarray | dict[str, np.ndarray]


def compute(
  function: Callable[[dict[str, np.ndarray], int], Output],
  batch: Mapping[str, np.ndarray],
  most: int,
) -> Output:
  """What `function` gives of all rows, asked for in batches of few sizes.

  Args:
    function: (batch, number of its first row) -> array or dict of arrays, with
      a row per example.
    batch: arrays of equally many rows; without rows it is computed as it is.
    most: rows at once, at least 1.

  Raises:
    UserError: `most` is less than 1, or numbers of rows that differ.
  """
  numbers = {name: len(values) for name, values in batch.items()}
  if len(set(numbers.values())) > 1:
    raise errors.UserError(
      f"entries of {numbers} examples", "equally many", "correct them", None
    )
  if most < 1:
    raise errors.UserError(
      f"batch_size={most}", "1 or more", "correct it", "batch_size"
    )
  total, found = max(numbers.values(), default=0), []
  if not total:
    return function(dict(batch), 0)
  for start in range(0, total, most):
    rows = min(most, total - start)
    size = min(most, 1 << (rows - 1).bit_length())
    index = np.minimum(np.arange(start, start + size), start + rows - 1)
    some = {name: values[index] for name, values in batch.items()}
    made = function(some, start)
    found.append(jax.tree.map(lambda x, rows=rows: x[:rows], made))
  return jax.tree.map(lambda *parts: np.concatenate(parts), *found)
