r"""h-space: Discovering Interpretable Directions in the Semantic Latent Space.

Haas, Huberman-Spiegelglas, Mulayoff, Grasshof, Brandt, Michaeli, FG 2024: what
a frozen UNet computes at its bottleneck, h_T .. h_1 over the steps of a
sampler, behaves like the latents of a GAN: adding to it edits what is made.
Here its directions of greatest variance, without supervision:

    h_i     [steps, h, w, c]                 of samples i = 1 .. n
    U, s    principal components of vec(h_i), or of each step by itself
    e       e(x_t | a s_k U_k)               k-th component, strength a

Equal to the authors' code (renhaa/semantic-diffusion@91f0a15): `tests/golden`
compares times, h, sampling with and without noise, symmetric and asymmetric
offsets, DDIM inversion, and joint and stepwise components with the authors'.
Their paper has no numbers.

Signs are theirs (first entry positive; steps aligned with the first). Their
stream keeps `components` between batches of 1000, this one `carried`. From
labels and scores: `h_space_labels`; of one image: `h_space_jacobian`.

    python -m jmim.main --mode=apply --config=configs/h_space_scenes.py \
      --workdir=runs/h --config.procedure.source.path=runs/base
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import injection
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import inner_walk
from jmim.methods.parts import principal


@dataclasses.dataclass(frozen=True, kw_only=True)
class HSpace(procedure.Procedure):
  """Principal directions of a frozen model's bottleneck, and edits by them."""

  fits = True
  asked = ("shown", "alphas", "length", "random")

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that is looked into"
  )
  walk: inner_walk.Walk = field.part(inner_walk.Walk, "sampler and place")
  components: int = field.value(25, "directions that are fitted", low=1)
  by_step: bool = field.value(
    False, "components of each step by itself; else of whole paths"
  )
  block: int = field.value(
    0, "samples held at once by a streaming fit; 0: all, which is exact", low=0
  )
  carried: int = field.value(
    100, "components that a streaming fit keeps between blocks", low=1
  )
  shown: int = field.value(5, "directions that edits are made of", low=1)
  alphas: tuple[float, ...] = field.value(
    (-2.0, 2.0), "strengths of each edit, in standard deviations"
  )
  length: float = field.value(
    0.0,
    "length of an offset over all steps at strength 1; 0: its own deviation",
    low=0.0,
  )
  random: bool = field.value(
    False, "edit along random directions as long as these: a control"
  )

  @classmethod
  def tiny(cls) -> "HSpace":
    """Three components of three noisy steps, as a stream; two are shown."""
    small = dict(steps=3, eta=1.0)
    made = field.replace(cls(), walk=small, components=3, block=6, carried=12)
    return dataclasses.replace(made, shown=2, alphas=(-1.0, 1.0))

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """A tiny UNet."""
    return {"source": ddpm.DDPM.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """One diffusion model."""
    return {"source": self.source}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Images where walks start from them, and what the model is told by."""
    return self.walk.inputs(models["source"].diffuser)

  def check(self, models) -> None:
    """Raises ValueError for a model or numbers that do not go together."""
    self.walk.check(models["source"])
    if self.shown > self.components:
      raise ValueError(
        f"shown={self.shown} of components={self.components}: fit more of them"
      )
    if self.block == 1:
      raise ValueError("block=1: hold two samples or more, or all (0)")
    if self.block and self.carried < self.components:
      raise ValueError(
        f"carried={self.carried} is less than components={self.components}"
      )

  def draw(self, keys, models, example) -> procedure.Draws:
    """Those of the walk; direction [shown, steps, *h] of a control."""
    draws = self.walk.draw(keys, models["source"].diffuser)
    if self.random:
      h = self.walk.place.shape(models["source"])
      shape = (self.shown, self.walk.steps, *h)
      draws["direction"] = jax.random.normal(keys("direction"), shape)
    return draws

  def collect(self, models, batch, draws) -> procedure.Arrays:
    """h [b, steps, *h] of a walk."""
    opened = self.walk.opened(models["source"].diffuser, batch)
    return {"h": self.walk.seen(opened, batch, draws)[0]}

  def fit(self, rows: procedure.Rows) -> procedure.Arrays:
    """directions [k, steps, *h], deviations [k] or, by step, [k, steps]."""
    directions, deviations = principal.of_paths(
      (row["h"] for row in rows),
      by_step=self.by_step,
      block=self.block,
      carried=self.carried,
    )
    k, there = self.components, np.count_nonzero(deviations, axis=0).min()
    if there < k:
      raise errors.UserError(
        f"procedure.components={k}, and {there} are all there are",
        "at most one less than the samples, and than the numbers in h",
        "fit on more (apply.fit_num), or ask for fewer",
        "procedure.components",
      )
    directions = injection.pointed(directions[:k], self.by_step)
    found = {"directions": directions, "deviations": deviations[:k]}
    return {name: np.float32(x) for name, x in found.items()}

  def fitted_like(self, rows: procedure.Arrays) -> procedure.Arrays:
    """Shapes of the same."""
    k, shape = self.components, rows["h"].shape[1:]
    like = lambda *sides: jax.ShapeDtypeStruct(sides, jnp.float32)
    steps = shape[:1] if self.by_step else ()
    return {"directions": like(k, *shape), "deviations": like(k, *steps)}

  def offsets(self, fitted, draws) -> jax.Array:
    """[shown, steps, (b,) *h] at strength 1."""
    u, s = (fitted[n][: self.shown] for n in ("directions", "deviations"))
    made = u * s.reshape(s.shape + (1,) * (u.ndim - s.ndim))
    norm = jnp.sqrt((made**2).sum(tuple(range(1, u.ndim)), keepdims=True))
    if self.length:
      made, norm = made * self.length / jnp.maximum(norm, 1e-20), self.length
    if not self.random:
      return made
    r = draws["direction"]  # [b, shown, steps, *h]
    size = jnp.sqrt((r**2).sum(tuple(range(2, r.ndim)), keepdims=True))
    return jnp.moveaxis(r * (norm / size), 0, 2)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, 1 + shown x alphas, h, w, c]: as it is, then by direction."""
    opened = self.walk.opened(models["source"].diffuser, batch)
    begun = self.walk.begin(opened, batch, draws)
    moved = dict(offsets=self.offsets(fitted, draws), alphas=self.alphas)
    return {"image": self.walk.images_of(opened, begun, **moved)}

  def pictures(self) -> tuple[str, ...]:
    """The images."""
    return ("image",)
