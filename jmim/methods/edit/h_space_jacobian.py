r"""h-space: directions of one image, singular vectors of its Jacobian.

Haas et al. 2024 (arXiv 2303.11073): how the noise that a frozen model predicts
at a step depends on its bottleneck h_t there,

    J   = d m e(x_t | d) / d d  at d = 0     m: pixels that count
    J u = s v                                greatest s by power iteration

without forming J: subspace iteration on J^T J by forward and backward products.
A direction of one step is applied at the steps around it,

    d_j = a s_t u_t    |j - t| <= window     or each step's own, d_j = a s_j u_j

`tests/golden` compares values and directions with those of the authors
(renhaa/semantic-diffusion@91f0a15), whose iteration finds one direction after
another. They scale by each step's s and not by that of step t, which takes the
iteration at all steps; `at=-1` does that, with each step's own u. They publish
no numbers.

    python -m jmim.main --mode=apply --workdir=runs/jacobian \
      --config=configs/h_space_jacobian_scenes.py:source=runs/base
    python -m jmim.tools.claim h_space
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import injection
from jmim.diffusion import jacobian
from jmim.diffusion import sampler
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import inner_walk

EACH = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class HSpaceJacobian(procedure.Procedure):
  """Singular directions of each example, and edits by them."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that is looked into"
  )
  walk: inner_walk.Walk = field.part(inner_walk.Walk, "sampler and place")
  directions: int = field.value(3, "singular directions", low=1)
  more: int = field.value(
    2, "directions iterated beside those, which makes it faster", low=0
  )
  iterations: int = field.value(50, "steps of the power iteration", low=1)
  at: int = field.value(
    25,
    "step, from 0, whose directions are taken; -1: each step its own",
    low=-1,
  )
  window: int = field.value(
    -1, "steps on either side that see the offset; -1: all", low=-1
  )
  mask: tuple[float, ...] = field.value(
    (),
    "pixels that count: top, left, bottom, right in shares of the sides; (): "
    "all",
  )
  alphas: tuple[float, ...] = field.value(
    (-50.0, 50.0), "strengths of each edit, in singular values"
  )

  @classmethod
  def tiny(cls) -> "HSpaceJacobian":
    """One direction of the second of three steps, of half an image."""
    made = cls(directions=1, more=1, iterations=8, at=1, window=1)
    made = dataclasses.replace(made, mask=(0.0, 0.0, 0.5, 1.0), alphas=(1.0,))
    return field.replace(made, walk=dict(steps=3))

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
    if self.at >= self.walk.steps:
      raise ValueError(f"at={self.at} of walk.steps={self.walk.steps}, from 0")
    if self.at == EACH and self.window != -1:
      raise ValueError(f"window={self.window} around no step: at=-1 takes each")
    self.pixels(models["source"].diffuser.shape)
    size = int(np.prod(self.walk.place.shape(models["source"])))
    if self.directions + self.more > size:
      raise ValueError(
        f"directions={self.directions} and more={self.more} of {size} numbers"
      )

  def pixels(self, shape: tuple[int, ...]) -> np.ndarray | float:
    """[h, w, 1] of what is diffused, or 1: all."""
    return injection.box(shape, self.mask) if self.mask else 1.0

  def draw(self, keys, models, example) -> procedure.Draws:
    """Those of the walk, and probe [directions + more, *h]."""
    h = self.walk.place.shape(models["source"])
    probe = (self.directions + self.more, *h)
    draws = self.walk.draw(keys, models["source"].diffuser)
    return draws | {"probe": jax.random.normal(keys("probe"), probe)}

  def found(
    self, opened: injection.Opened, begun: inner_walk.Begun, probe: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """values [b, k, s] and directions [b, k, s, *h]: s steps, or the one."""
    table = self.walk.table(opened.source)
    plain = opened.denoise()
    states = injection.walk(table, plain, begun.x, begun.noise).states
    rows = states, sampler.rows_of(table, states.dtype)["level"]
    if self.at != EACH:
      rows = jax.tree.map(lambda a: a[self.at][None], rows)
    mask = self.pixels(opened.source.shape)

    def one(row):
      f = opened.response(*row, mask)
      there = jnp.zeros_like(probe[:, 0])
      found = jacobian.triplets(f, there, probe, self.iterations)
      k = self.directions
      return found.values[:, :k], found.right[:, :k]

    values, u = jax.lax.map(one, rows)
    values, u = jnp.moveaxis(values, 0, 2), jnp.moveaxis(u, 0, 2)
    return values, jax.vmap(lambda u: injection.pointed(u, True))(u)

  def near(self) -> np.ndarray:
    """[steps]: 1 where the offset is applied."""
    far = np.abs(np.arange(self.walk.steps) - self.at)
    everywhere = self.at == EACH or self.window < 0
    return np.where(everywhere | (far <= self.window), 1.0, 0.0)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, 1 + directions x alphas, h, w, c], and what `found` gives."""
    del fitted
    opened = self.walk.opened(models["source"].diffuser, batch)
    begun = self.walk.begin(opened, batch, draws)
    values, u = self.found(opened, begun, draws["probe"])
    wide = (1,) * (u.ndim - 3)
    moved = u * values.reshape(*values.shape, *wide)
    moved = moved * self.near().reshape(-1, *wide).astype(np.float32)
    moved = jnp.moveaxis(moved, 0, 2)  # [k, steps, b, *h]
    edits = dict(offsets=moved, alphas=self.alphas)
    image = self.walk.images_of(opened, begun, **edits)
    return {"image": image, "values": values, "directions": u}

  def pictures(self) -> tuple[str, ...]:
    """The images."""
    return ("image",)
