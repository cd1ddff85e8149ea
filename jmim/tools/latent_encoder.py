"""The frozen autoencoder of a run over its data, for `cache_latents`."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator

import jax
import numpy as np

from jmim.core import errors
from jmim.core import method as methods
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals.lib import predict
from jmim.parallel import sharding
from jmim.session import restore
from jmim.session import session as sessions

Rows = dict[str, np.ndarray]


class Encoder:
  """The trained autoencoder of a run, on batches of its own pipeline.

  Attributes:
    feature: name of what it makes: "moments" or "tokens".
  """

  def __init__(self, session: sessions.Session, output: str = "moments"):
    """Takes the newest checkpoint's weights.

    Args:
      session: of the run.
      output: "moments" or "codes".

    Raises:
      UserError: no checkpoint, or a method that does not encode.
    """
    self.parts = parts = session.parts
    offered = parts.method.predict()
    if output not in offered:
      raise errors.UserError(
        f"method.type={parts.config.method.type!r} offers "
        f"{', '.join(sorted(offered))}",
        f"a method that offers `{output}`",
        "name the run of an autoencoder",
        "method.type",
      )
    self.feature = {"codes": "tokens"}.get(output, output)
    self._output = predict.output(parts.method, output)
    if jax.process_count() > 1:
      raise errors.UserError(
        f"{jax.process_count()} processes",
        "one, which writes the files",
        "run it on one host",
        None,
      )
    state = restore.only_weights(session).point.state
    everywhere = sharding.replicated(parts.mesh)
    self._weights = methods.Weights(state.params, state.extra, parts.consts)
    self._key = jax.random.key(0)
    self._encode = jax.jit(self._output, out_shardings=everywhere)
    self._where = sharding.batch_sharding(parts.mesh)

  def shape(self) -> tuple[int, ...]:
    """Of one example: [h, w, k] moments, or [n] tokens."""
    batch = {
      name: jax.ShapeDtypeStruct((1, *x.shape), x.dtype)
      for name, x in self.parts.method.inputs().items()
    }
    made = jax.eval_shape(self._output, self._weights, batch, self._key)
    shape = made.shape[1:]
    return (math.prod(shape),) if self.feature == "tokens" else shape

  def __call__(
    self, images: np.ndarray, step: int, training: bool
  ) -> np.ndarray:
    """[b, h, w, k] float32 moments, or [b, n] tokens, of uint8 images.

    Args:
      images: [b, h, w, c], as the pipeline makes them.
      step: number of the batch, which seeds its augmentation.
      training: with the augmentation of training.
    """
    batch = {"image": jax.device_put(images, self._where)}
    spec, key = self.parts.spec, jax.random.key(self.parts.config.seed)
    if training:
      batch = augment.augment_batch(spec, jax.random.fold_in(key, step), batch)
    else:
      batch = augment.prepare_batch(spec, batch)
    made = np.asarray(self._encode(self._weights, batch, self._key))
    return made.reshape(len(made), -1) if self.feature == "tokens" else made

  def rows(self, split: str, views: int) -> Iterator[Rows]:
    """Batches of `feature`, "index", perhaps "label" of a source.

    Args:
      split: "train" or "eval".
      views: passes of the training augmentation; 0: the evaluation's crop.
    """
    source, spec = self.parts.sources[split], self.parts.spec
    if not views:
      for i, batch in enumerate(pipeline.evaluation_batches(source, spec)):
        yield self._encoded(batch, batch["valid"], i, False)
      return
    remaining = len(source) * views
    stream = pipeline.training_batches(
      source, dataclasses.replace(spec, remainder="keep")
    )
    with contextlib.closing(stream):
      for i, batch in enumerate(stream):
        first = np.arange(spec.batch) < remaining
        yield self._encoded(batch, first, i, True)
        remaining -= spec.batch
        if remaining <= 0:
          return

  def _encoded(
    self, batch: Rows, valid: np.ndarray, step: int, training: bool
  ) -> Rows:
    """What is stored of the valid rows of a batch."""
    rows = {self.feature: self(batch["image"], step, training)}
    names = [n for n in ("index", "label") if n in batch]
    rows |= {n: batch[n] for n in names}
    return {n: x[valid] for n, x in rows.items()}
