"""A procedure at work: what its fit reads, what it makes of examples.

What is made of an example is a function of (seed, split, its index in the
split): not of the batch, nor of the devices, nor of how many are asked for. Of
a split of n examples, numbers from n on are further results of the same ones
(`apply.repeats`): number i is of example i modulo n.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import method as methods
from jmim.core import procedure as procedures
from jmim.core import randomness
from jmim.data import augment
from jmim.data import entries
from jmim.data import order
from jmim.data import pipeline
from jmim.data import splits
from jmim.parallel import sharding
from jmim.runlog import waits
from jmim.session import applied

Rows = dict[str, np.ndarray]
Batch = dict[str, jax.Array]
Weights = dict[str, methods.Weights]  # of the models, by name


def chosen(n: int, num: int) -> np.ndarray:
  """int64: which of n examples, in their order; 0: all.

  The first ones of a fixed random order, as files are often sorted by class: a
  larger `num` has those of a smaller one.
  """
  return order.permutation(n, 0, 0, np.arange(min(num, n) if num else n))


def asked(parts: applied.Parts, split: str) -> np.ndarray:
  """int64: numbers of the results that are asked for, see above."""
  n = len(parts.sources[split])
  once = chosen(n, parts.config.apply.num)
  again = n * np.arange(parts.config.apply.repeats)
  return (again[:, None] + once).ravel()


def key_of(seed: int, name: str) -> jax.Array:
  """The key of a fit, or of the results of a split."""
  return randomness.Keys(jax.random.key(seed))(name)


class Work:
  """The programs of a procedure on its mesh.

  Attributes:
    parts: of the procedure.
    traces: has an item for each time that a program was traced.
    during: makes the context of what is waited for.
  """

  def __init__(
    self,
    parts: applied.Parts,
    load: bool = True,
    during: waits.Measure = waits.nothing,
  ):
    """Puts the models on the devices; compiles nothing yet.

    Args:
      parts: of the procedure.
      load: False: they are shapes, and stay where they are.
      during: as the attribute.
    """
    self.parts, self.traces, self.during = parts, [], during
    self._batch = sharding.batch_sharding(parts.mesh)
    everywhere = sharding.replicated(parts.mesh)
    put = lambda one: jax.device_put(
      one.weights, parts.layout(one).tree(one.weights)
    )
    self._weights = {n: put(x) for n, x in parts.given.items() if load}
    jit = functools.partial(jax.jit, out_shardings=everywhere)
    self._collect, self._apply = jit(self.collect), jit(self.apply)

  def _begin(self, weights, batch, key):
    """(models, batch, draws) inside a program."""
    self.traces.append(1)
    parts = self.parts
    models = {n: parts.given[n].unrolled(w) for n, w in weights.items()}
    batch = augment.prepare_batch(parts.spec, batch)
    draws = procedures.drawn(parts.procedure, key, models, batch)
    return models, batch, draws

  def collect(
    self, weights: Weights, batch: Batch, key: jax.Array
  ) -> dict[str, jax.Array]:
    """What a fit reads of a batch."""
    return self.parts.procedure.collect(*self._begin(weights, batch, key))

  def apply(
    self,
    weights: Weights,
    fitted: procedures.Arrays,
    batch: Batch,
    key: jax.Array,
  ) -> tuple[dict[str, jax.Array], jax.Array]:
    """(results as they are stored, whether those of an example are finite)."""
    procedure = self.parts.procedure
    models, batch, draws = self._begin(weights, batch, key)
    made = dict(procedure.apply(models, fitted, batch, draws))
    finite = jnp.ones(len(batch["index"]), bool)
    for x in made.values():
      finite &= jnp.isfinite(x).all(tuple(range(1, x.ndim)))
    for name in procedure.pictures():
      made[name] = augment.denormalise(self.parts.spec, made[name])
    return made, finite

  def rows(self, num: int) -> Iterator[Rows]:
    """What the fit reads, batch by batch."""
    index = chosen(len(self.parts.sources["train"]), num)
    key = key_of(self.parts.config.seed, "fit")
    for numbers, batch, _ in self.batches("train", index):
      with self.during(waits.output("collect")):
        made = self._collect(self._weights, batch, key)
        made = jax.tree.map(np.asarray, made)
      valid = numbers >= 0
      yield {name: x[valid] for name, x in made.items()}

  def results(
    self, split: str, index: np.ndarray, fitted: procedures.Arrays
  ) -> Iterator[Rows]:
    """What is made of some examples of a split, batch by batch.

    Args:
      split: "train" or "eval".
      index: numbers of the results, as `asked`.
      fitted: of the fit.

    Raises:
      UserError: some of it is no finite number.
    """
    key = key_of(self.parts.config.seed, split)
    on_device = jax.tree.map(jnp.asarray, fitted)
    for numbers, batch, stored in self.batches(split, index):
      with self.during(waits.output(f"apply of {split}")):
        made = self._apply(self._weights, on_device, batch, key)
        made, finite = jax.tree.map(np.asarray, made)
      valid = numbers >= 0
      _require_finite(finite[valid])
      rows = stored | made
      rows["index"] = numbers
      yield {name: x[valid] for name, x in rows.items()}

  def batches(
    self, split: str, index: np.ndarray
  ) -> Iterator[tuple[np.ndarray, dict[str, jax.Array], Rows]]:
    """(index of each example or -1, batch on the devices, its labels here)."""
    parts, read = self.parts, self.parts.inputs  # which traces its models
    source = parts.sources[split]
    part = splits.Subset(source, index % len(source))
    stream = pipeline.evaluation_batches(
      part,
      parts.spec,
      process_index=jax.process_index(),
      process_count=jax.process_count(),
    )
    put = lambda x: jax.make_array_from_process_local_data(self._batch, x)
    for local in waits.batches(stream, self.during):
      valid = local["valid"]
      numbers = np.where(valid, index[local["index"]], -1).astype(np.int32)
      names = [n for n in entries.readable(local) if n in read]
      if "label" in names:
        _require_labels(local["label"][valid])
      batch = {name: put(local[name]) for name in names}
      batch["index"] = put(np.maximum(numbers, 0))
      kept = {n: self._gather(put(local[n])) for n in ("label",) if n in local}
      yield self._gather(put(numbers)), batch, kept

  def _gather(self, x: jax.Array) -> np.ndarray:
    """Of all hosts."""
    where = sharding.replicated(self.parts.mesh)
    return np.asarray(jax.device_put(x, where))


def _require_labels(labels: np.ndarray) -> None:
  if (labels < 0).any():
    raise errors.UserError(
      f"{int((labels < 0).sum())} of {len(labels)} examples without a label",
      "a class for each, which a model is told",
      "leave them out: name a part of the split that has labels",
      "data.eval_split",
    )


def _require_finite(finite: np.ndarray) -> None:
  if not finite.all():
    raise errors.UserError(
      f"{int((~finite).sum())} of {len(finite)} results with NaN or infinite "
      "values",
      "finite numbers",
      "choose milder settings of the procedure, or hardware.dtype=f32",
      "procedure",
    )
