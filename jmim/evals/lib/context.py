"""What evaluators see of a run: outputs by name, over a split."""

import copy
import dataclasses
import types
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np

from jmim.core import method as methods
from jmim.core import state as states
from jmim.data import augment
from jmim.data import pipeline
from jmim.data import sources as data_sources
from jmim.evals.lib import devices
from jmim.evals.lib import finite
from jmim.evals.lib import labelled
from jmim.evals.lib import predict
from jmim.runlog import waits

Arrays = devices.Arrays
Output = np.ndarray | Arrays  # on the host: [b, ...], or a dict of such
T = TypeVar("T")


class Context:
  """Runs a method's predict functions over the data, on all devices.

  Attributes:
    method: the method.
    devices: those of the run.
    spec: of the input pipeline and the normalisation.
    sources: "train" and "eval".
    splits: further splits of the data set, as they are written.
    seed: of the run.
    step: of the state being evaluated.
    during: makes the context of what is waited for.
  """

  def __init__(
    self,
    method: methods.Method,
    mesh: jax.sharding.Mesh,
    spec: pipeline.Spec,
    sources: dict[str, data_sources.Source],
    consts: methods.Tree,
    fresh: Callable[[], tuple[methods.Tree, methods.Tree]],
    seed: int,
    splits: Mapping[str, data_sources.Source] = types.MappingProxyType({}),
    during: waits.Measure = waits.nothing,
  ):
    """Keeps what does not change during a run; arguments as the attributes.

    Args:
      method: the method.
      mesh: devices.
      spec: of the input pipeline.
      sources: by split.
      consts: frozen networks.
      fresh: returns (params, extra) as they were before the first step.
      seed: of the run.
      splits: see `fitted_on`.
      during: as the attribute.
    """
    self.method, self.devices = method, devices.Devices(mesh)
    self.spec, self.seed = spec, seed
    self.sources, self.splits, self.during = sources, splits, during
    self._consts, self._fresh = consts, fresh
    self._compiled: dict[str, Callable] = {}
    self._forever: dict[Hashable, object] = {}
    self._memo: dict[Hashable, object] = {}
    self._weights: dict[str, methods.Weights] = {}
    self.step = 0

  def start(self, state: states.State) -> None:
    """Points the context at a state."""
    self.step = int(state.step)
    trees = {"raw": state.params} | ({"ema": state.ema} if state.ema else {})
    self._weights = {
      name: methods.Weights(params, state.extra, self._consts)
      for name, params in trees.items()
    }
    self._memo = {}

  def stop(self) -> None:
    """Forgets the state, so that its buffers can be reused."""
    self._weights, self._memo = {}, {}

  def weights(self, name: str) -> methods.Weights:
    """What predict functions read, for "raw", "ema" or "untrained"."""
    if name == "untrained" and name not in self._weights:
      self._weights[name] = methods.Weights(*self._fresh(), self._consts)
    return self._weights[name]

  def batches(self, split: str, limit: int | None = None) -> Iterator[Arrays]:
    """Local slices of global batches: each example once, the last padded.

    Where the method reads labels, those without one are fillers too.

    Args:
      split: "train" or "eval".
      limit: the first so many of a fixed shuffled order; None: all.
    """
    batches = pipeline.evaluation_batches(
      self.sources[split],
      self.spec,
      limit=limit,
      process_index=jax.process_index(),
      process_count=jax.process_count(),
    )
    batches = waits.batches(batches, self.during)
    if "label" not in self.method.inputs():
      return batches
    return labelled.valid(batches, split, self.devices.total)

  def apply(
    self,
    name: str,
    batch: Arrays,
    weights: str,
    key: int = 0,
    whole: bool = False,
  ) -> Output:
    """Output `name` for one local batch, as numpy of the whole global batch.

    Args:
      name: a key of `method.predict()`; "name/entry" is one entry of an
        output that is a dict.
      batch: as from `batches`.
      weights: "raw", "ema" or "untrained".
      key: seeds what the function draws.
      whole: every host holds the whole batch, of any length.
    """
    put = self.devices.put_whole if whole else self.devices.put
    make = lambda: self.output(name)
    return self._run(name, make, put(batch), weights=weights, key=key)

  def loss(self, batch: Arrays, weights: str, key: int = 0) -> Arrays:
    """Mean losses (and logged values) of one batch under fixed draws.

    Args:
      batch: global and without fillers, of any length, on every host.
      weights: "raw", "ema" or "untrained".
      key: seeds the draws.
    """
    labelled.check(batch, *self.method.inputs())
    batch = self.devices.put_whole(batch)
    make = lambda: predict.losses(self.method)
    return self._run("<loss>", make, batch, weights=weights, key=key)

  def _run(
    self,
    name: str,
    make: Callable[[], Callable],
    batch: dict[str, jax.Array],
    weights: str,
    key: int,
  ) -> Output:
    """What the function of a name gives for a batch of uint8, on the host."""
    if name not in self._compiled:
      fn, spec = make(), self.spec
      self._compiled[name] = self.devices.jit(
        lambda w, b, k: fn(w, augment.prepare_batch(spec, b), k)
      )
    key = jax.random.fold_in(jax.random.key(self.seed), key)
    params = self.weights(weights)
    shapes = tuple((k, x.shape, str(x.dtype)) for k, x in batch.items())
    with self.during(waits.output(name, (weights, shapes))):
      out = self._compiled[name](params, batch, key)
      return jax.tree.map(np.asarray, out)

  def output(self, name: str) -> methods.Predict:
    """The predict function of an output, or of one entry of it."""
    return predict.output(self.method, name)

  def shape(self, name: str) -> tuple[int, ...]:
    """Shape of an output for one example, found without computing it."""
    return self._shapes((name,))[name].shape[1:]

  def widths(self, names: Sequence[str]) -> dict[str, int]:
    """Numbers per example of each output, and of each entry of a dict."""
    return predict.widths(self._shapes(names))

  def _shapes(self, names: Sequence[str]) -> dict[str, predict.Shapes]:
    weights, batch = self.weights("raw"), self.spec.batch
    return predict.shapes(self.method, weights, names=names, batch=batch)

  def pixels(self, images: np.ndarray) -> np.ndarray:
    """uint8 images of those [b, .., h, w, c] in the units of the inputs.

    Raises:
      UserError: some are NaN or infinite.
    """
    finite = np.isfinite(images).all(tuple(range(1, np.ndim(images))))
    predict.require_finite(finite, "images to be shown or measured")
    return np.asarray(augment.denormalise(self.spec, images))

  def outputs(
    self,
    name: str,
    split: str,
    limit: int | None,
    weights: str,
    entries: Sequence[str] = (),
    key: int = 0,
  ) -> Iterator[tuple[Output, Arrays]]:
    """An output and entries of the batch, batch by batch, without fillers.

    Args:
      name: a predict function, or "pixels", the raw image / 255.
      split: "train" or "eval".
      limit: see `batches`.
      weights: "raw", "ema" or "untrained".
      entries: of the batch, such as "label".
      key: of the first batch; each has the next.

    Yields:
      the output and the entries of the global batch, on every host.
    """
    gather = self.devices.gather
    for i, batch in enumerate(self.batches(split, limit), key):
      if name == "pixels":
        out = gather(batch["image"]) / np.float32(255)
      else:
        out = self.apply(name, batch, weights, key=i)
      labelled.check(batch, *entries)
      valid = gather(batch["valid"])
      out = jax.tree.map(lambda x, valid=valid: x[valid], out)
      yield out, {k: gather(batch[k])[valid] for k in entries}

  def features(
    self, name: str, split: str, limit: int | None, weights: str
  ) -> tuple[np.ndarray, np.ndarray]:
    """(outputs [n, d] float32, labels [n]) of a split, on every host.

    Those without a label are left out and counted: UserError if none is left.
    NotComputed if outputs are not finite. Arguments as of `outputs`; pixels are
    flattened. Asked twice for the same, it answers from memory: outputs that
    depend on the state until the next evaluation, the others for the whole run.
    """
    fixed = name == "pixels" or weights == "untrained"
    memo = self._forever if fixed else self._memo
    used = None if name == "pixels" else weights
    request = (name, self.sources[split], limit, used)
    if request not in memo:
      rows, classes = self.rows(name, split, limit, weights, entry="label")
      rows = np.asarray(rows, np.float32).reshape(len(rows), -1)
      rows, classes = labelled.only(rows, classes, split)
      finite.check(rows)
      memo[request] = rows, classes
    return memo[request]

  def rows(
    self,
    name: str,
    split: str,
    limit: int | None,
    weights: str,
    entry: str = "index",
  ) -> tuple[np.ndarray, np.ndarray]:
    """(outputs [n, ...], an entry of the batch [n]) on every host.

    Args:
      name: as of `outputs`; so are split, limit and weights.
      split: "train" or "eval".
      limit: of examples.
      weights: of which state.
      entry: "index" (see `stored`), "label" or "image".
    """
    parts = self.outputs(name, split, limit, weights, entries=(entry,))
    rows, entries = zip(*((x, e[entry]) for x, e in parts), strict=True)
    return np.concatenate(rows), np.concatenate(entries)

  def once(self, request: Hashable, make: Callable[[], T]) -> T:
    """What no state changes: made when first asked for, kept for the run."""
    if request not in self._forever:
      self._forever[request] = make()
    return self._forever[request]

  def fitted_on(self, split: str) -> "Context":
    """The same with another split of the data set as "train"; "": itself."""
    if not split:
      return self
    made = copy.copy(self)
    made.sources = self.sources | {"train": self.splits[split]}
    return made

  def on(self, sources: dict[str, data_sources.Source]) -> "Context":
    """The same weights and transforms over other "train" and "eval" data."""
    made = copy.copy(self)
    made.sources, made._memo, made._forever = sources, {}, {}
    # The bounds of what is read are those of the run's own data.
    made.spec = dataclasses.replace(self.spec, reads=(), group="", members=0)
    return made
