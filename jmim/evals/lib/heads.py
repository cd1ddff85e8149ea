"""Heads of another run, which tell what is seen in a picture.

A classifier's one is called "label"; `supervised.attributes` has several.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from jmim.checkpoints import identity
from jmim.checkpoints import models
from jmim.core import errors
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.evals.lib import finite
from jmim.evals.lib import predict

# uint8 [b, h, w, c] -> head -> [b] classes; of numbers -> entry -> [b, k].
Tell = Callable[[np.ndarray], dict[str, np.ndarray]]


class Heads(NamedTuple):
  """Heads of a run.

  Attributes:
    tell: what every head tells of pictures.
    shape: [h, w, c] of these.
    protocol: entries for the result line: the hash of the weights.
    numbers: what it tells of real numbers; {} of a run that tells none.
  """

  tell: Tell
  shape: tuple[int, int, int]
  protocol: dict[str, str]
  numbers: Tell = lambda images: {}


def of_run(workdir: str, weights: str, spec: settings.Data, key: str) -> Heads:
  """Those of a run's newest checkpoint.

  Args:
    workdir: of the run.
    weights: "raw" or "ema".
    spec: of the normalisation here, which that of the run must equal.
    key: of the config, for messages.

  Raises:
    UserError: no such run, one without `logits`, or of other pictures.
  """
  model = models.of_run(workdir, weights, key=key)
  inputs = model.method.inputs().get("image")
  if "logits" not in model.method.predict() or not inputs:
    raise errors.UserError(
      f"{workdir} is a run of {model.config.method.type}",
      "a method that offers `logits` of images",
      "name a run of a classifier (supervised.attributes, say)",
      key,
    )
  units = lambda data: (tuple(data["mean"]), tuple(data["std"]))
  ours = units({"mean": spec.mean, "std": spec.std})
  if units(model.config.data) != ours:
    raise errors.UserError(
      f"{workdir} has data.mean, data.std = {units(model.config.data)}",
      f"{ours}, as here: pixels mean nothing else to it",
      "name a run on pictures that are normalised alike",
      key,
    )
  fns = {
    name: jax.jit(predict.output(model.method, name))
    for name in ("logits", "numbers")
    if name in model.method.predict()
  }

  def rows(name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    if images.shape[1:] != tuple(inputs.shape):
      raise errors.UserError(
        f"{workdir} reads images {inputs.shape}, and these are "
        f"{images.shape[1:]}",
        "a run on pictures of this size",
        "name another run",
        key,
      )
    batch = {"image": augment.normalise(spec, images)}
    found = fns[name](model.weights, batch, jax.random.key(0))
    each = found if isinstance(found, Mapping) else {"label": found}
    rows = {name: np.asarray(x) for name, x in each.items()}
    for x in rows.values():
      finite.check(x)
    return rows

  def tell(images: np.ndarray) -> dict[str, np.ndarray]:
    return {n: x.argmax(-1) for n, x in rows("logits", images).items()}

  def numbers(images: np.ndarray) -> dict[str, np.ndarray]:
    return rows("numbers", images) if "numbers" in fns else {}

  digest = identity.of_weights(model.weights)
  protocol = {"told_by": f"sha256:{digest}"}
  return Heads(tell, tuple(inputs.shape), protocol, numbers)
