"""Images and texts side by side, as a model of texts is told them (ThinkDiff).

    m = [h(image 1), h(image 2) .., encoder(text)]      images first

h is what a run of `text.thinkdiff` projects, zeros where nothing is; the text's
vectors are those that the diffusion model makes itself. What is told of nothing
is as long: zeros fill up whichever of the two is shorter.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method as methods
from jmim.core import procedure

CONTEXT = "context"  # the sequence among what a network is told


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joined:
  """How many images, and whether a text."""

  images: int = field.value(
    1,
    "images of an example that are told (several: data.group); 0: none",
    low=0,
  )
  text: bool = field.value(False, "the text of an example is told after them")

  def inputs(
    self, source: procedure.Model, projector: procedure.Model
  ) -> dict[str, methods.Input]:
    """What the projector reads of an image, and the source of a text.

    Args:
      source: a diffusion model.
      projector: a model with the output `prompt`.
    """
    read = {}
    if self.images:
      thinks = projector.method
      read |= {n: thinks.inputs()[n] for n in thinks.sample_reads()}
    if self.text:
      read |= dict(source.diffuser.reads)
    if self.images < 2:
      return read
    several = lambda x: dataclasses.replace(x, shape=(self.images, *x.shape))
    return {name: several(x) for name, x in read.items()}

  def check(
    self,
    source: procedure.Model,
    projector: procedure.Model,
    key: str = "told",
  ) -> None:
    """Raises ValueError for models or fields that do not go together."""
    if not (self.images or self.text):
      raise ValueError(f"{key}.images=0 without {key}.text: nothing is told")
    if "prompt" not in projector.method.predict():
      raise ValueError("projector is a model without the output 'prompt'")
    models = (source, projector)
    told = self._shapes(models, lambda a, b, batch: self._text(a, batch)[0])
    if not isinstance(told, Mapping) or set(told) != {CONTEXT}:
      raise ValueError("source is a model that is told by no sequence of a T5")
    h = self._shapes(models, lambda a, b, batch: self._thoughts(b, batch))
    if self.images and h.shape[-1] != told[CONTEXT].shape[-1]:
      raise ValueError(
        f"projector gives vectors of width {h.shape[-1]}, and source is told "
        f"by those of width {told[CONTEXT].shape[-1]}"
      )

  def _shapes(
    self, models: tuple[procedure.Model, ...], fn: Callable[..., Any]
  ) -> Any:
    """Of what fn(source, projector, batch) gives; nothing is computed."""
    batch = {
      n: jax.ShapeDtypeStruct((1, *x.shape), x.dtype)
      for n, x in self.inputs(*models).items()
    }

    def run(weights, batch):
      filled = [
        dataclasses.replace(m, weights=w, shapes=False)
        for m, w in zip(models, weights, strict=True)
      ]
      return fn(*filled, batch)

    return jax.eval_shape(run, [m.weights for m in models], batch)

  def _thoughts(
    self, projector: procedure.Model, batch: methods.Batch
  ) -> jax.Array | None:
    """[b, n, w] of all images, zeros where nothing is; None: of none."""
    names, found = projector.method.sample_reads(), []
    for i in range(self.images):
      one = {n: batch[n] if self.images == 1 else batch[n][:, i] for n in names}
      made = projector.output("prompt", one, jax.random.key(0))
      found.append(made["context"] * made["present"][..., None])
    return jnp.concatenate(found, axis=1) if found else None

  def _text(
    self, source: procedure.Model, batch: methods.Batch
  ) -> tuple[Any, Any]:
    """(what the source is told of the text, the same of nothing)."""
    reads, b = source.diffuser.reads, methods.batch_size(batch)
    read = {n: jnp.zeros((b, *x.shape), x.dtype) for n, x in reads.items()}
    if self.text:
      own = {n: batch[n] for n in read}
      read = {n: x[:, 0] for n, x in own.items()} if self.images > 1 else own
    return source.diffuser.tell(read)

  def told(
    self,
    source: procedure.Model,
    projector: procedure.Model,
    batch: methods.Batch,
  ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """m [b, s, w] and as many vectors of nothing, as the source is told."""
    text, nothing = (x[CONTEXT] for x in self._text(source, batch))
    h = self._thoughts(projector, batch)
    parts = ([] if h is None else [h.astype(text.dtype)]) + [text] * self.text
    m = jnp.concatenate(parts, axis=1)
    most = max(m.shape[1], nothing.shape[1])
    fill = lambda x: jnp.pad(x, ((0, 0), (0, most - x.shape[1]), (0, 0)))
    return {CONTEXT: fill(m)}, {CONTEXT: fill(nothing)}
