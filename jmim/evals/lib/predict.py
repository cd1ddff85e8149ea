"""How a predict function is called: by name, its weights prepared.

A method computes outputs and knows no execution; evaluators, `jmim.load` and
--mode=sample ask for them here, and compile what they get.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import method as methods
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.nn import stack

Losses = Callable[
  [methods.Weights, methods.Batch, jax.Array], dict[str, jax.Array]
]


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
    params = stack.unrolled(method.rt, weights.params)
    weights = methods.Weights(params, weights.extra, weights.consts)
    value = fn(weights, batch, key)
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


def samples(
  method: methods.Method, spec: settings.Data, name: str = "sample"
) -> methods.Predict:
  """What a method samples, as it is stored.

  Args:
    method: offers the output.
    spec: of the normalisation.
    name: of the output: images as the inputs are, or tokens.

  Returns:
    (weights, batch, key) -> uint8 [b, h, w, c], or integers [b, l].
  """
  fn = output(method, name)

  def call(
    weights: methods.Weights, batch: methods.Batch, key: jax.Array
  ) -> jax.Array:
    value = fn(weights, batch, key)
    if jnp.issubdtype(value.dtype, jnp.integer):
      return value
    return augment.denormalise(spec, value)

  return call


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
  """
  index = np.asarray(index, np.int32)
  known = method.inputs().get("label")
  if known is None:
    return {"index": index}
  turns = index % known.high
  labels = turns if label is None else np.full_like(index, label)
  return {"index": index, "label": labels}


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
