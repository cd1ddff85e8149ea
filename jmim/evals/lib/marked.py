"""Entries of an output that are masks, or what pictures of one thing show."""

from collections.abc import Mapping

import numpy as np

from jmim.core import errors
from jmim.data.procedural import seen
from jmim.evals.lib import context as contexts

THING = "thing"  # in the place of an entry: read from the pixels of `image`


def entry(out: Mapping[str, np.ndarray], name: str, key: str) -> np.ndarray:
  """An entry of an output.

  Raises:
    UserError: it has none of that name.
  """
  if name not in out:
    raise errors.UserError(
      f"evals.<name>.{key}={name!r}",
      f"one of {', '.join(out)}, or {THING!r} of pictures of one thing",
      "correct the name",
      f"evals.<name>.{key}",
    )
  return np.asarray(out[name])


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
  """
  if name != THING:
    return entry(out, name, key)
  images = context.pixels(entry(out, "image", "predict"))
  return seen.one(images)["mask"].astype(np.int64)
