r"""What a frozen classifier thinks of images, as a score and as an energy.

    log p(c | x) = log softmax(logits(x))_c

of any model that offers `logits`: one array ("label"), or one per head.
Differentiable in the images.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import procedure

ONE = "label"  # head of a classifier that has a single one


def heads(logits: Any) -> dict[str, jax.Array]:
  """Head -> [b, k], of what a classifier offers as `logits`."""
  return dict(logits) if isinstance(logits, Mapping) else {ONE: logits}


def classes(
  model: procedure.Model,
  head: str,
  image: tuple[int, ...],
  name: str = "scorer",
) -> int:
  """How many classes a head tells apart; finds out without computing.

  Args:
    model: the classifier.
    head: of it.
    image: shape [h, w, c] of the images to be scored.
    name: of the model, for messages.

  Raises:
    UserError: a model without logits.
    ValueError: one of other images, or without that head.
  """
  reads = model.method.inputs().get("image") if model.method else None
  if reads is not None and tuple(reads.shape) != tuple(image):
    raise ValueError(
      f"{name} reads images {tuple(reads.shape)}, and these are {tuple(image)}"
    )
  batch = {"image": jax.ShapeDtypeStruct((1, *image), jnp.float32)}

  def look(weights, batch):
    asked = procedure.Model(method=model.method, weights=weights, key=model.key)
    return asked.output("logits", batch, jax.random.key(0))

  found = heads(jax.eval_shape(look, model.weights, batch))
  if head not in found:
    raise ValueError(f"head={head!r}, and {name} has {', '.join(found)}")
  return found[head].shape[-1]


def log_share(
  model: procedure.Model, head: str, images: jax.Array, label: jax.Array
) -> jax.Array:
  """log p(label | image) [b] of images [b, h, w, c] in the model's units."""
  logits = model.output("logits", {"image": images}, jax.random.key(0))
  logs = jax.nn.log_softmax(heads(logits)[head].astype(jnp.float32))
  return jnp.take_along_axis(logs, label[:, None], axis=1)[:, 0]
