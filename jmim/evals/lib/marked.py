"""Entries of an output that are masks, or what pictures of one thing show."""

from collections.abc import Mapping

import numpy as np

from jmim.data.procedural import seen
from jmim.evals.lib import context as contexts
from jmim.evals.lib import outputs

THING = "thing"  # in the place of an entry: read from the pixels of `image`


def labels(
  context: contexts.Context,
  out: Mapping[str, np.ndarray],
  name: str,
  key: str,
) -> np.ndarray:
  """[b, ...] an entry, or "thing": 1 at the thing of each `image`.

  Args:
    context: of the evaluation, which knows the units of pixels.
    out: the output.
    name: of the entry.
    key: of that name in the config, for messages.

  Raises:
    UserError: the output has no such entry.
  """
  if name != THING:
    other = f"{THING!r} of pictures of one thing"
    return np.asarray(outputs.named(out, name, key, other))
  images = context.pixels(outputs.entry(out, "image", "one with `image`"))
  return seen.one(images)["mask"].astype(np.int64)
