"""What data sets store beside images, and data sets other than the run's.

`dense` and `propagation` stand on it.
"""

from collections.abc import Sequence

import numpy as np

from jmim.core import errors
from jmim.data import sources
from jmim.evals.lib import context as contexts


def elsewhere(
  context: contexts.Context, name: str, data_dir: str
) -> contexts.Context:
  """A context on the splits "train" and "test" of another data set.

  Args:
    context: of the run.
    name: of the data set; "": the run's own, and nothing changes.
    data_dir: where it is; "": the cache.

  Raises:
    UserError: there is no such data set.
  """
  if not name:
    return context
  splits = {"train": "train", "eval": "test"}
  return context.on(
    {k: sources.build(name, split, data_dir) for k, split in splits.items()}
  )


def annotation(
  context: contexts.Context, split: str, index: Sequence[int], name: str
) -> np.ndarray:
  """What the data set stores under a name: [n, ...], of examples `index`.

  It is read as stored, on every host: images must be neither cropped nor
  resized if it is to fit them.

  Raises:
    UserError: the data set has nothing of that name.
  """
  source = context.sources[split]
  first = source[int(index[0])]
  if name not in first:
    raise errors.UserError(
      f"no {name!r} in the data set",
      f"one of {', '.join(first)}",
      "choose another annotation or data set",
      "evals.<name>.data",
    )
  return np.stack([np.asarray(source[int(i)][name]) for i in index])
