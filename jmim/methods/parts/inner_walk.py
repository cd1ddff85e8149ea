"""How a frozen model is walked through with offsets inside it.

From noise, or from an image whose way back is found first: by DDIM backwards
where no noise is added, else by noises that lead to it ("edit-friendly"). The
sampler is DDIM at times (S - 1 .. 0) (T // S), and its noises are draws, so
that every walk can be repeated.
"""

import dataclasses
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.core import randomness
from jmim.diffusion import injection
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.methods.parts import inner_place

Array = jax.Array


class Begun(NamedTuple):
  """Where a walk begins.

  Attributes:
    x: [b, ...] state at the first level.
    noise: [steps, b, ...] of the sampler; None: it needs none.
    back: h [steps, b, *h] seen on the way back by DDIM, and the data [b, ...]
      that it began with; None: there was none.
  """

  x: Array
  noise: Array | None
  back: tuple[Array, Array] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
  """Sampler, start and place of the offsets."""

  place: inner_place.Place = field.part(
    inner_place.Place, "place inside the network"
  )
  steps: int = field.value(50, "sampling steps", low=1)
  eta: float = field.value(
    0.0, "noise of the sampler: 0 none, 1 DDPM's", low=0.0
  )
  etas: tuple[float, ...] = field.value(
    (), "eta of each step, in their order; (): eta for all"
  )
  symmetric: bool = field.value(
    True, "both terms of a step see the offset; False: Asyrp, in two passes"
  )
  images: bool = field.value(
    False, "start from the images of the data, inverted; else from noise"
  )
  conditional: bool = field.value(
    False, "tell the model each example's own class; else nothing"
  )

  @property
  def amounts(self) -> np.ndarray:
    """[steps] eta of each step."""
    return np.asarray(self.etas or (self.eta,) * self.steps, np.float64)

  def inputs(self, source: model.Diffuser) -> dict[str, method.Input]:
    """Images where they are the start, and what the model is told by."""
    image = {"image": method.Input(source.image)} if self.images else {}
    return image | dict(source.reads)

  def check(self, given: procedure.Model) -> None:
    """Raises ValueError for a model, a place or steps that will not do."""
    source = given.diffuser
    needed = ("times", "decode", "encode")[: 2 + self.images]
    source.require(*needed, of="source")
    if self.conditional and not source.reads:
      raise ValueError("walk.conditional: source is told nothing")
    if len(self.amounts) != self.steps or min(self.amounts) < 0:
      raise ValueError(
        f"walk.etas of {len(self.etas)} steps, and walk.steps={self.steps}: "
        "give one for each step, 0 or more"
      )
    if self.images and self.amounts.any() and not self.amounts.all():
      # Where none is added, no noise leads to what was drawn.
      raise ValueError(
        "walk.etas that are 0 at some steps: walk.images needs 0 at all or none"
      )
    try:
      self.table(source).check("ddim")
    except ValueError as e:
      raise ValueError(f"walk.steps, walk.eta: {e}") from e
    self.place.shape(given)

  def table(self, source: model.Diffuser) -> samplers.Table:
    """The sampler, from noise to clean data."""
    return solvers.ddim(source.levels(self.steps, "leading"), self.amounts)

  def draw(
    self, keys: randomness.Keys, source: model.Diffuser
  ) -> dict[str, Array]:
    """start [h, w, c], or posterior and path; noise [steps, h, w, c]."""
    normal = lambda name, *more: jax.random.normal(
      keys(name), (*more, *source.shape)
    )
    noisy = self.table(source).stochastic
    if not self.images:
      noise = {"noise": normal("noise", self.steps)} if noisy else {}
      return {"start": normal("start"), **noise}
    draws = {"posterior": normal("posterior")} if source.random else {}
    return draws | ({"path": normal("path", self.steps)} if noisy else {})

  def opened(
    self, source: model.Diffuser, batch: method.Batch
  ) -> injection.Opened:
    """The model with its place, told of the batch or nothing."""
    told, nothing = source.tell(batch)
    if nothing is not None and not self.conditional:
      told = nothing
    inside = self.place.inside(source.network)
    return injection.Opened(
      source=source, inside=inside, told=told, symmetric=self.symmetric
    )

  def begin(
    self, opened: injection.Opened, batch: method.Batch, draws: dict[str, Any]
  ) -> Begun:
    """The start of the walk of each example."""
    source = opened.source
    if not self.images:
      noise = jax.tree.map(invert.steps_first, draws.get("noise"))  # or None
      return Begun(draws["start"], noise)
    z = source.encode(batch["image"], draws.get("posterior"))
    if "path" not in draws:
      levels = injection.backward(source.schedule, self.steps)
      x, h = injection.inverted(opened, levels, z)
      return Begun(x, None, (h, z))
    path = invert.steps_first(draws["path"])
    return Begun(*injection.friendly(self.table(source), opened, z, path))

  def seen(
    self, opened: injection.Opened, batch: method.Batch, draws: dict[str, Any]
  ) -> tuple[Array, Array]:
    """h [b, steps, *h] of a walk without offsets, and its end [b, ...].

    Of images inverted by DDIM it is that of the way back, as the authors'.
    """
    begun = self.begin(opened, batch, draws)
    if begun.back is not None:
      return jnp.moveaxis(begun.back[0], 0, 1), begun.back[1]
    table = self.table(opened.source)
    found = injection.walk(table, opened.denoise(), begun.x, begun.noise)
    return jnp.moveaxis(found.h, 0, 1), found.end

  def images_of(
    self,
    opened: injection.Opened,
    begun: Begun,
    *,
    offsets: Array,
    alphas: tuple[float, ...],
  ) -> Array:
    """Images [b, 1 + k a, h, w, c]: without an offset, then with each.

    Args:
      opened: the model.
      begun: the start of the walk.
      offsets: [k, steps, (b,) *h].
      alphas: a strengths, each of every offset, innermost; (): no edits.
    """
    table = self.table(opened.source)

    def made(offset):
      denoise = opened.denoise(offset)
      end = samplers.sample(table, denoise, begun.x, begun.noise)[0]
      return opened.source.decode(end)

    edited = jax.lax.map(made, injection.scaled(offsets, alphas))
    return jnp.moveaxis(jnp.concatenate([made(None)[None], edited]), 0, 1)
