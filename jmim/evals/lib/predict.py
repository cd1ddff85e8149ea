"""How a predict function is called: by name, its weights prepared.

A method computes outputs and knows no execution; evaluators, `jmim.load` and
--mode=sample ask for them here, and compile what they get.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import method as methods
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.data import clouds
from jmim.nn import stack

# (frozen diffusion model, batch, key) -> what is measured of it.
Measure = Callable[[Any, methods.Batch, jax.Array], Any]
Losses = Callable[
  [methods.Weights, methods.Batch, jax.Array], dict[str, jax.Array]
]


# Of an output: its shape and type, or those of its entries.
Shapes = jax.ShapeDtypeStruct | dict[str, jax.ShapeDtypeStruct]


def unrolled(
  method: methods.Method, weights: methods.Weights
) -> methods.Weights:
  """Weights inside a program that may call the network many times.

  Stacked layers are apart, once, where the runtime does not scan.
  """
  params = stack.unrolled(method.rt, weights.params)
  return dataclasses.replace(weights, params=params)


def output(method: methods.Method, name: str) -> methods.Predict:
  """The predict function of an output, or of one entry of it.

  Args:
    method: offers the output.
    name: of the output; "name/entry": one entry of an output that is a dict.

  Returns:
    (weights, batch, key) -> the output, to be compiled: it takes stacked
    layers apart, once, where the runtime does not scan.

  Raises:
    UserError: (when called) the output has no such entry.
  """
  name, _, entry = name.partition("/")
  fn = method.predict()[name]

  def call(
    weights: methods.Weights, batch: methods.Batch, key: jax.Array
  ) -> jax.Array | dict[str, jax.Array]:
    value = fn(unrolled(method, weights), batch, key)
    if not entry:
      return value
    if entry not in value:
      raise errors.UserError(
        f"output {name}/{entry}",
        f"one of {', '.join(value)}",
        "ask for one of these",
        "evals.<name>.predict",
      )
    return value[entry]

  return call


def diffused(
  method: methods.Method, spec: settings.Data, measure: Measure
) -> methods.Predict:
  """What is measured of a method's frozen diffusion model.

  Args:
    method: offers one (`Method.diffuser`).
    spec: of the normalisation.
    measure: of the model and a batch as the method reads it.

  Returns:
    (weights, batch of uint8, key) -> the result, to be compiled.
  """

  def call(
    weights: methods.Weights, batch: methods.Batch, key: jax.Array
  ) -> jax.Array | dict[str, jax.Array]:
    model = method.diffuser(unrolled(method, weights))
    return measure(model, augment.prepare_batch(spec, batch), key)

  return call


def shapes(
  method: methods.Method,
  weights: methods.Weights,
  names: Sequence[str],
  batch: int,
) -> dict[str, Shapes]:
  """Shapes of outputs by name, found without computing them.

  Args:
    method: offers the outputs.
    weights: of it, or their shapes.
    names: see `output`.
    batch: examples in the batch.
  """
  made = {
    name: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  return {
    name: jax.eval_shape(output(method, name), weights, made, jax.random.key(0))
    for name in names
  }


def widths(found: Mapping[str, Shapes]) -> dict[str, int]:
  """Numbers per example of outputs; "name/entry" where one has entries."""
  sizes = {}
  for name, entry in found.items():
    entries = entry if isinstance(entry, dict) else {"": entry}
    for key, x in entries.items():
      sizes[f"{name}/{key}" if key else name] = math.prod(x.shape[1:])
  return sizes


def samples(
  method: methods.Method, spec: settings.Data, name: str = "sample"
) -> methods.Predict:
  """What a method samples, as it is stored.

  Args:
    method: offers the output.
    spec: of the normalisation.
    name: of the output: images or clouds as the inputs are, or tokens.

  Returns:
    (weights, batch, key) -> (uint8 [b, h, w, c], float32 points [b, n, 3] or
    integers [b, l], bool [b]: whether a sample and the parameters behind it are
    finite, see `require_finite`).
  """
  fn = output(method, name)

  def call(
    weights: methods.Weights, batch: methods.Batch, key: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    value = fn(weights, batch, key)
    # Tokens drawn by NaN are tokens: only the parameters show it.
    sound = [jnp.isfinite(x).all() for x in jax.tree.leaves(weights.params)]
    finite = jnp.stack(sound).all() & jnp.isfinite(value).all(
      tuple(range(1, value.ndim))
    )
    if jnp.issubdtype(value.dtype, jnp.integer):
      return value, finite
    if value.ndim == 3:
      return clouds.denormalised(spec, value), finite
    return augment.denormalise(spec, value), finite

  return call


def require_finite(finite: np.ndarray, what: str) -> None:
  """Refuses to go on with samples that are no numbers.

  As pixels they would be black, white or grey, like any picture.

  Args:
    finite: bool [n], of each sample.
    what: they are, for the message.

  Raises:
    UserError: some are not finite.
  """
  if np.all(finite):
    return
  raise errors.UserError(
    f"{int(np.sum(~np.asarray(finite)))} of {len(finite)} {what}: NaN or "
    "infinite values, in them or in the parameters",
    "finite numbers",
    "use an earlier checkpoint, a lower optim.lr or hardware.dtype=f32; of "
    "diffusion, other method.noise or method.sampling",
    "method",
  )


def conditions(
  method: methods.Method, index: np.ndarray, label: int | None = None
) -> dict[str, np.ndarray]:
  """The batch of samples that differ by their numbers.

  Args:
    method: samples.
    index: [b] numbers; sample i is a function of the key, i and its label.
    label: class of all; None: the classes in turn.

  Returns:
    index [b] int32; label [b] int32 where the method reads one.

  Raises:
    UserError: no such class, or a method without classes.
  """
  index = np.asarray(index, np.int32)
  known = method.inputs().get("label")
  if label is not None:
    _check_label(label, known.high if known else 0)
  if known is None:
    return {"index": index}
  turns = index % known.high
  labels = turns if label is None else np.full_like(index, label)
  return {"index": index, "label": labels}


def _check_label(label: int, classes: int) -> None:
  """Raises UserError unless it is a class; an embedding takes any number."""
  if not isinstance(label, int | np.integer) or isinstance(label, bool):
    seen = f"label={label!r} ({type(label).__name__})"
  elif not 0 <= label < classes:
    seen = f"label={label}"
  else:
    return
  raise errors.UserError(
    seen,
    f"None or a class, 0 to {classes - 1}" if classes else "None: no classes",
    "correct it",
    "label",
  )


def losses(method: methods.Method) -> Losses:
  """Losses and logged values of all players under the draws of a key.

  Returns:
    (weights, batch, key) -> {name: scalar}, named as the trainer logs them.
  """

  def call(
    weights: methods.Weights, batch: methods.Batch, key: jax.Array
  ) -> dict[str, jax.Array]:
    draws, values = method.drawn(key, batch), {}
    for player in method.players:
      loss, aux = method.loss(weights, batch, draws, 0, player=player)
      values[methods.loss_name(method, player)] = loss
      values |= {k: v for k, v in aux.items() if jnp.ndim(v) == 0}
    return values

  return call
