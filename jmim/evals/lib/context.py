"""What evaluators see of a run: outputs by name, over a split."""

import copy
import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import method as methods
from jmim.data import augment
from jmim.data import entries
from jmim.data import pipeline
from jmim.parallel import sharding

Tree = Any


class Context:
  """Runs a method's predict functions over the data, on all devices.

  Attributes:
    step: of the state being evaluated.
    seed: of the run.
    augment: how images were normalised (to draw them).
  """

  def __init__(
    self,
    method: methods.Method,
    mesh: jax.sharding.Mesh,
    spec: pipeline.Spec,
    sources: dict[str, Any],
    consts: Tree,
    fresh: Callable[[], tuple[Tree, Tree]],
    seed: int,
  ):
    """Keeps what does not change during a run.

    Args:
      method: the method.
      mesh: devices.
      spec: of the input pipeline.
      sources: "train" and "eval".
      consts: frozen networks.
      fresh: returns (params, extra) as they were before the first step.
      seed: of the run.
    """
    self.method, self.mesh, self.spec = method, mesh, spec
    self.augment, self.sources, self.consts = spec, sources, consts
    self.seed, self._fresh = seed, fresh
    self._sharding = sharding.batch_sharding(mesh)
    self._everywhere = sharding.replicated(mesh)
    self._compiled: dict[str, Callable] = {}
    self._forever: dict[Any, Any] = {}
    self._memo: dict[Any, Any] = {}
    self.step = 0

  def start(self, state: Any) -> None:
    """Points the context at a state."""
    self.step = int(state.step)
    self._weights = {"raw": (state.params, state.extra)}
    if state.ema:
      self._weights["ema"] = (state.ema, state.extra)
    self._memo = {}

  def stop(self) -> None:
    """Forgets the state, so that its buffers can be reused."""
    self._weights, self._memo = {}, {}

  def batches(
    self, split: str, limit: int | None = None
  ) -> Iterator[dict[str, np.ndarray]]:
    """Local slices of global batches: each example once, the last padded.

    Args:
      split: "train" or "eval".
      limit: the first so many of a fixed shuffled order; None: all.
    """
    return pipeline.evaluation_batches(
      self.sources[split],
      self.spec,
      limit=limit,
      process_index=jax.process_index(),
      process_count=jax.process_count(),
    )

  def apply(
    self,
    name: str,
    batch: dict[str, np.ndarray],
    weights: str,
    key: int = 0,
    whole: bool = False,
  ) -> Any:
    """Output `name` for one local batch, as numpy of the whole global batch.

    Args:
      name: a key of `method.predict()`; "name/entry" is one entry of an
        output that is a dict.
      batch: as from `batches`.
      weights: "raw", "ema" or "untrained".
      key: seeds what the function draws.
      whole: every host holds the whole batch, of any length.
    """
    if name not in self._compiled:
      fn = self.output(name)
      self._compiled[name] = self.jit(
        lambda p, e, c, b, k: fn(
          p, e, c, augment.prepare_batch(self.augment, b), k
        )
      )
    ready = (self.put_whole if whole else self.put)(batch)
    return self._call(self._compiled[name], ready, weights, key)

  def output(self, name: str) -> methods.Predict:
    """The predict function of an output, or of one entry of it.

    Raises:
      UserError: (when called) the output has no such entry.
    """
    name, _, entry = name.partition("/")
    fn = self.method.predict()[name]
    if not entry:
      return fn

    def one(*args):
      found = fn(*args)
      if entry not in found:
        raise errors.UserError(
          f"output {name}/{entry}",
          f"one of {', '.join(found)}",
          "ask for one of these",
          "evals.<name>.predict",
        )
      return found[entry]

    return one

  def shape(self, name: str) -> tuple[int, ...]:
    """Shape of an output for one example, found without computing it."""
    return self._shapes((name,))[name].shape[1:]

  def widths(self, names: Sequence[str]) -> dict[str, int]:
    """Numbers per example of each output, and of each entry of a dict."""
    found = {}
    for name, entry in self._shapes(names).items():
      entries = entry if isinstance(entry, dict) else {"": entry}
      for key, x in entries.items():
        found[f"{name}/{key}" if key else name] = math.prod(x.shape[1:])
    return found

  def _shapes(self, names):
    b, inputs = self.spec.batch, self.method.inputs().items()
    batch = {k: jax.ShapeDtypeStruct((b, *x.shape), x.dtype) for k, x in inputs}
    params, extra = self.tree("raw")
    return {
      name: jax.eval_shape(
        self.output(name), params, extra, self.consts, batch, jax.random.key(0)
      )
      for name in names
    }

  def loss(
    self, batch: dict[str, np.ndarray], weights: str, key: int = 0
  ) -> dict[str, np.ndarray]:
    """Mean losses (and logged aux) of one batch under fixed draws.

    Args:
      batch: global and without fillers, of any length, on every host.
      weights: "raw", "ema" or "untrained".
      key: seeds the draws.
    """
    if "<loss>" not in self._compiled:
      self._compiled["<loss>"] = self.jit(self._losses)
    batch = self.put_whole(batch)
    return self._call(self._compiled["<loss>"], batch, weights, key)

  def _losses(self, params, extra, consts, batch, key):
    batch = augment.prepare_batch(self.augment, batch)
    draws = self.method.draw(key, batch, 0)
    single, found = len(self.method.players) == 1, {}
    for player in self.method.players:
      value, aux = self.method.loss(
        player, params, extra, consts, batch, draws, 0
      )
      found["loss" if single else f"loss/{player}"] = value
      found |= {k: v for k, v in aux.items() if jnp.ndim(v) == 0}
    return found

  def jit(self, fn: Callable) -> Callable:
    """Compiles a function whose results every host wants to read."""
    # Replicated outputs are whole on every host: np.asarray works there.
    return jax.jit(fn, out_shardings=self._everywhere)

  def put(self, local: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """Every host's slice of a batch as global arrays on the devices."""
    put = lambda x: jax.make_array_from_process_local_data(self._sharding, x)
    return {k: put(local[k]) for k in entries.readable(local)}

  def put_whole(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """A batch that every host holds whole, split if its length allows."""

    def put(x):
      even = len(x) % self.mesh.size == 0
      where = self._sharding if even else self._everywhere
      return jax.make_array_from_callback(x.shape, where, lambda i: x[i])

    return {k: put(batch[k]) for k in entries.readable(batch)}

  def _call(self, fn, batch, weights, key):
    params, extra = self.tree(weights)
    key = jax.random.fold_in(jax.random.key(self.seed), key)
    out = fn(params, extra, self.consts, batch, key)
    return jax.tree.map(np.asarray, out)

  def tree(self, weights: str) -> tuple[Tree, Tree]:
    """(params, extra) of "raw", "ema" or "untrained"."""
    if weights == "untrained" and weights not in self._weights:
      self._weights[weights] = self._fresh()
    return self._weights[weights]

  def once(self, request: Any, make: Callable[[], Any]) -> Any:
    """What no state changes: made when first asked for, kept for the run."""
    if request not in self._forever:
      self._forever[request] = make()
    return self._forever[request]

  def features(
    self, name: str, split: str, limit: int | None, weights: str
  ) -> tuple[np.ndarray, np.ndarray]:
    """(outputs [n, d] float32, labels [n]) of a split, on every host.

    Args:
      name: a predict function; or "pixels", the raw image / 255, flattened.
      split: "train" or "eval".
      limit: see `batches`.
      weights: "raw", "ema" or "untrained".

    Asked twice for the same, it answers from memory: outputs that depend on
    the state until the next evaluation, the others for the whole run.
    """
    fixed = name == "pixels" or weights == "untrained"
    memo = self._forever if fixed else self._memo
    request = (name, split, limit, None if name == "pixels" else weights)
    if request not in memo:
      memo[request] = self._features(name, split, limit, weights)
    return memo[request]

  def _features(self, name, split, limit, weights):
    rows, labels = self.rows(
      name, split, limit=limit, weights=weights, beside="label"
    )
    return np.asarray(rows, np.float32).reshape(len(rows), -1), labels

  def rows(
    self,
    name: str,
    split: str,
    limit: int | None,
    weights: str,
    beside: str = "index",
  ) -> tuple[np.ndarray, np.ndarray]:
    """(outputs [n, ...], an entry of the batch [n]) on every host.

    Args:
      name: a predict function, or "pixels", the raw image / 255.
      split: "train" or "eval".
      limit: see `batches`.
      weights: "raw", "ema" or "untrained".
      beside: "index" (see `stored`), "label" or "image".
    """
    rows, others = [], []
    for i, batch in enumerate(self.batches(split, limit)):
      if name == "pixels":
        out = self.gather(batch["image"]) / np.float32(255)
      else:
        out = self.apply(name, batch, weights, key=i)
      valid = self.gather(batch["valid"])
      rows.append(out[valid])
      others.append(self.gather(batch[beside])[valid])
    return np.concatenate(rows), np.concatenate(others)

  def on(self, sources: dict[str, Any]) -> "Context":
    """The same weights and transforms over other "train" and "eval" data."""
    made = copy.copy(self)
    made.sources, made._memo, made._forever = sources, {}, {}
    return made

  def gather(self, local: np.ndarray) -> np.ndarray:
    """The global batch from every host's slice."""
    if jax.process_count() == 1:
      return local
    whole = jax.make_array_from_process_local_data(self._sharding, local)
    return np.asarray(jax.device_put(whole, self._everywhere))
