"""The frozen networks of a run over its data, for `cache_latents`."""

import contextlib
import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

from jmim.core import errors
from jmim.core import method as methods
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals.lib import predict
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.session import restore
from jmim.session import session as sessions

Rows = dict[str, np.ndarray]


class Encoder:
  """What a run makes of images or clips, on batches of its own pipeline.

  Attributes:
    shapes: name -> shape of an example of what it makes: "moments" [h, w, k],
      "tokens" [n], or each kind of codes of a method with several.
    n_codes: name -> different codes; 0: moments of Gaussians, None: plain.
  """

  def __init__(
    self, run: sessions.Session | assemble.Parts, output: str = "moments"
  ):
    """Takes the newest checkpoint's weights.

    Args:
      run: a session, or the parts of a recipe without a run: then the output
        must be made by frozen networks alone.
      output: "moments" or "codes".

    Raises:
      UserError: no checkpoint, or a method that does not encode.
    """
    untrained = isinstance(run, assemble.Parts)
    self.parts = parts = run if untrained else run.parts
    offered = parts.method.predict()
    if output not in offered:
      raise errors.UserError(
        f"method.type={parts.config.method.type!r} offers "
        f"{', '.join(sorted(offered))}",
        f"a method that offers `{output}`",
        "name the run of an autoencoder",
        "method.type",
      )
    self._name = {"codes": "tokens"}.get(output, output)
    clips = "video" in parts.method.inputs()
    self._reads = "video" if clips else "image"
    self._output = predict.output(parts.method, output)
    if jax.process_count() > 1:
      raise errors.UserError(
        f"{jax.process_count()} processes",
        "one, which writes the files",
        "run it on one host",
        None,
      )
    everywhere = sharding.replicated(parts.mesh)
    self._weights = methods.Weights({}, {}, parts.consts)
    if not untrained:
      state = restore.only_weights(run).point.state
      self._weights = methods.Weights(state.params, state.extra, parts.consts)
    self._key = jax.random.key(0)
    self.shapes = self._shapes()
    counts = parts.method.n_codes
    self.n_codes = (
      counts if isinstance(counts, dict) else dict.fromkeys(self.shapes, counts)
    )
    self._encode = jax.jit(self._output, out_shardings=everywhere)
    self._where = sharding.batch_sharding(parts.mesh)

  @property
  def of_codes(self) -> bool:
    """Whether it makes codes, not moments."""
    return self._name == "tokens"

  @property
  def feature(self) -> str:
    """The name of what it makes; of several the first."""
    return next(iter(self.shapes))

  def shape(self) -> tuple[int, ...]:
    """Of one example of `feature`."""
    return self.shapes[self.feature]

  def _shapes(self):
    """Raises UserError for an output that reads weights which are not there."""
    batch = {
      name: jax.ShapeDtypeStruct((1, *x.shape), x.dtype)
      for name, x in self.parts.method.inputs().items()
    }
    run = lambda *inputs: self._flat(self._output(*inputs))
    try:
      made = jax.eval_shape(run, self._weights, batch, self._key)
    except KeyError as e:
      if self._weights.params:
        raise
      raise errors.UserError(
        f"no --workdir, and {self.parts.config.method.type} reads {e} for it",
        "an output of frozen networks alone, or a trained run",
        "name the run",
        "--workdir",
      ) from e
    return {name: x.shape[1:] for name, x in made.items()}

  def _flat(self, made):
    """name -> array [b, ...]; codes are [b, n]."""
    named = made if isinstance(made, dict) else {self._name: made}
    if not self.of_codes:
      return named
    return {name: x.reshape(len(x), -1) for name, x in named.items()}

  def __call__(
    self, images: np.ndarray, step: int, training: bool
  ) -> np.ndarray:
    """`encoded`, of `feature` alone."""
    return self.encoded(images, step, training)[self.feature]

  def encoded(self, images: np.ndarray, step: int, training: bool) -> Rows:
    """[b, h, w, k] float32 moments, or [b, n] tokens, of uint8 images, by name.

    Args:
      images: [b, h, w, c], as the pipeline makes them, or clips
        [b, t, h, w, c], of which moments are [b, t', h, w, k].
      step: number of the batch, which seeds its augmentation.
      training: with the augmentation of training.
    """
    batch = {self._reads: jax.device_put(images, self._where)}
    spec, key = self.parts.spec, jax.random.key(self.parts.config.seed)
    if training:
      batch = augment.augment_batch(spec, jax.random.fold_in(key, step), batch)
    else:
      batch = augment.prepare_batch(spec, batch)
    made = jax.device_get(self._encode(self._weights, batch, self._key))
    return self._flat(made)

  def rows(self, split: str, views: int) -> Iterator[Rows]:
    """Batches of what is made, "index", perhaps "label" of a source.

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
    rows = self.encoded(batch[self._reads], step, training)
    names = [n for n in ("index", "label") if n in batch]
    rows |= {n: batch[n] for n in names}
    return {n: x[valid] for n, x in rows.items()}
