"""Batch normalisation: a function of its statistics, and a layer that has some.

The layer keeps running statistics in the collection `statistics`, which a
method saves in `extra`. In training it normalises with the batch's: of all
examples, on however many devices they lie, since a step is one program of the
whole batch. Its result in training is no mean over examples
(`Method.per_example = False`).
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn import dense

STATISTICS = "statistics"
UNMOVED = r"/before/bias$"


def batch_norm(
  x: jax.Array,
  mean: jax.Array,
  var: jax.Array,
  train: bool,
  momentum: float = 0.1,
  eps: float = 1e-6,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Batch normalisation without affine (MAE linear probing).

  In training, x is normalised with the batch's biased variance while the
  running variance takes the unbiased one, as torch does.

  Args:
    x: [..., d] float32; statistics are over all but the last axis.
    mean: [d] running mean.
    var: [d] running variance.
    train: use and record batch statistics; else use the running ones.
    momentum: share of the batch in the new running values.
    eps: inside the square root.

  Returns:
    normalised [..., d], new mean, new var.
  """
  if train:
    axes = tuple(range(x.ndim - 1))
    batch_mean, batch_var = x.mean(axes), x.var(axes)
    unbiased = x.var(axes, ddof=1)
    mean = (1 - momentum) * mean + momentum * batch_mean
    var = (1 - momentum) * var + momentum * unbiased
  else:
    batch_mean, batch_var = mean, var
  return (x - batch_mean) / jnp.sqrt(batch_var + eps), mean, var


class BatchNorm(nn.Module, kw_only=True):
  """torch's BatchNorm over all but the last axis; float32 inside.

  Attributes:
    momentum: share of the batch in the new running values.
    eps: inside the square root.
    rt: execution choices.
  """

  momentum: float = 0.1
  eps: float = 1e-5
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[..., d] -> [..., d].

    Args:
      x: features.
      train: statistics of the batch; else the running ones. New running ones
        are left in the collection where it is mutable.
    """
    shape = (x.shape[-1],)
    scale = self.param("scale", nn.initializers.ones, shape)
    bias = self.param("bias", nn.initializers.zeros, shape)
    mean = self.variable(STATISTICS, "mean", jnp.zeros, shape)
    var = self.variable(STATISTICS, "var", jnp.ones, shape)
    y, new_mean, new_var = batch_norm(
      x.astype(jnp.float32),
      mean.value,
      var.value,
      train,
      momentum=self.momentum,
      eps=self.eps,
    )
    if train and self.is_mutable_collection(STATISTICS):
      if not self.is_initializing():
        mean.value, var.value = map(jax.lax.stop_gradient, (new_mean, new_var))
    return (y * scale + bias).astype(self.rt.dtype)


class Normed(nn.Module, kw_only=True):
  """A linear map and a BatchNorm of what it makes.

  The bias of the map (`UNMOVED`) has no gradient: the mean is subtracted again.
  Rounding leaves some, of which Adam would make steps: methods freeze it.

  Attributes:
    features: width of the result.
    rt: execution choices.
  """

  features: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[..., c] -> [..., features]; see `BatchNorm`."""
    y = dense.dense(self.rt, self.features, name="before")(x)
    return BatchNorm(rt=self.rt, name="bn")(y, train)


def applied(
  net: nn.Module,
  params: Any,
  statistics: Any,
  *args: Any,
  train: bool,
  **kwargs: Any,
) -> tuple[Any, Any]:
  """Runs a network that has such layers: (its output, new statistics).

  Args:
    net: whose `__call__` takes `train`.
    params: its parameters.
    statistics: its running statistics, {} of a network without any.
    *args: of the network.
    train: see `BatchNorm`; if false the statistics stay.
    **kwargs: of the network.
  """
  mutable = [STATISTICS] if train else []
  out, new = net.apply(
    {"params": params, STATISTICS: statistics},
    *args,
    train=train,
    mutable=mutable,
    **kwargs,
  )
  return out, new.get(STATISTICS, {}) if train else statistics


def as_aux(statistics: Any) -> dict[str, jax.Array]:
  """New statistics as entries of a loss's aux, for `from_aux` in `after`.

  One array each, of a dimension: scalars would be logged.
  """
  return trees.named({STATISTICS: statistics})


def from_aux(aux: Mapping[str, Any]) -> Any:
  """The tree that `as_aux` was given."""
  own = {k: v for k, v in aux.items() if k.startswith(f"{STATISTICS}/")}
  return trees.nested(own).get(STATISTICS, {})
