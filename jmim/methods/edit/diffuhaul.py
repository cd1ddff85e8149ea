r"""DiffUHaul: A Training-Free Method for Object Dragging in Images.

Avrahami, Gal, Chechik, Fried, Lischinski, Vahdat, Nie, SIGGRAPH Asia 2024, a
reconstruction: no code was released. A frozen model that is told ellipses
(`edit.blob`) makes a picture twice, side by side: as it is (source, S) and with
one ellipse moved (target, G). What a thing looks like is not in its ellipse, so
the target takes it from the source (`parts/branches.py`):

    joint attention  thing k sees places of its own ellipse only, in each branch
    self-attention   softmax(q^G k^S) v^S
    early, u > tau   f^G <- (1 - u) f^G + u f^S, the thing's features moved
    late             f^G(p) <- f^S(q), q nearest to p by cosine
    each step        x^G <- x^S outside of the ellipses, old and new, grown
    at the end       a soft paste of the source's pixels, `parts/kept.py`

Generated pictures begin with one noise in both branches. Of a real one z the
source is x_t^S = a_t z + s_t eps_b, with a noise eps_b that neighbouring steps
share ("bucketing"), not inverted; its target begins with noise of its own
(`parts/begin.py`).

Known from the abstract: the parts. Chosen here: tau = 0.6; u = 1 - call /
calls; the self-attentions of all blocks going up; a shift rounded to cells; no
anchor where the thing was; copies of all other tokens, of the place it left
too, from all outside of it in the source; five buckets for 50 steps of DDIM;
guidance 7.5; the mask grown by 3 cells; outside of it both branches have one
state. Every part has a field that turns it off.

Reference: best of the methods compared by similarity of the thing, traces and
KID, and in a user study; the numbers are not known.

    python -m jmim.main --config=configs/blob_scenes.py --workdir=BASE
    python -m jmim.main --mode=apply --config=configs/diffuhaul_scenes.py \
      --workdir=W --config.procedure.source.path=BASE
    python -m jmim.tools.claim diffuhaul
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.methods.edit import blob
from jmim.methods.parts import begin as begins
from jmim.methods.parts import branches as parts
from jmim.methods.parts import drag as drags
from jmim.methods.parts import kept as keeping
from jmim.nn import ellipses as forms

Array = jax.Array
TOLD = ("ellipses", "thing_tokens", "tokens")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffUHaul(procedure.Procedure):
  """A thing of a picture is moved by a frozen model told ellipses."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that is told ellipses"
  )
  drag: drags.Drag = field.part(
    drags.Drag, "the thing that moves, and where to"
  )
  description: drags.Description = field.part(
    drags.Description, "words in the place of the picture's own"
  )
  branches: parts.Branches = field.part(
    parts.Branches, "features that the target takes from the source"
  )
  kept: keeping.Kept = field.part(keeping.Kept, "pixels that must stay")
  begin: begins.Begin = field.part(
    begins.Begin, "real pictures or made ones, and noises"
  )
  steps: int = field.value(50, "steps of DDIM", low=1)
  guidance: float = field.value(
    7.5, "classifier-free guidance: 1 conditional, 0 unconditional"
  )
  clip: float = field.value(0.0, "limit of |x0|; 0: none (latents)", low=0.0)

  @classmethod
  def tiny(cls) -> "DiffUHaul":
    """Four guided steps on a real picture with two noises."""
    return field.replace(
      cls(steps=4, guidance=2.0),
      begin=dict(real=True, buckets=2),
      kept=dict(grow=1, feather=1),
    )

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """A tiny model that is told ellipses."""
    return {"source": blob.Blob.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """One diffusion model."""
    return {"source": self.source}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """What the model is told, pictures if they are real, and stored drags."""
    source = models["source"].diffuser
    image = {"image": procedure.Input(source.image)} if self.begin.real else {}
    most = source.reads["thing_tokens"].shape[0]
    return {**image, **source.reads, **self.drag.inputs(most)}

  def check(self, models) -> None:
    """Raises ValueError for a model or fields that do not go together."""
    source = models["source"].diffuser
    if missing := [name for name in TOLD if name not in source.reads]:
      raise ValueError(
        f"source is not told {', '.join(missing)}: name a run of edit.blob"
      )
    ways = ("encode", "decode") if self.begin.real else ("decode",)
    source.require("times", *ways, of="source")
    source.check_guidance(self.guidance, of="source")
    self.drag.check(source.reads["thing_tokens"].shape[0])
    self.description.check(source.reads)
    self.kept.check(source.image[0] // source.shape[0])
    self.begin.check(len(self.table(source)))

  def table(self, source: model.Diffuser) -> samplers.Table:
    """DDIM without noise along the whole path."""
    return solvers.ddim(source.levels(self.steps))

  def draw(self, keys, models, example) -> procedure.Draws:
    """start, target, posterior [h, w, c]; bucket [n, h, w, c]; places."""
    drawn = self.begin.draw(keys, models["source"].diffuser)
    return drawn | self.drag.draw(keys)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """Pictures and ellipses before and after.

    image, source [b, H, W, c]; moved, ellipses [b, k, 5], of the target and of
    the source; changed [b, H, W, 1], 0 where they must be equal.
    """
    del fitted
    source = models["source"].diffuser
    batch = self.description.told(batch)
    first, which = batch["ellipses"], self.drag.number(batch)
    by = self.drag.shift(batch, draws)
    moved = forms.moved(first, which, by)
    side = source.shape[0]
    scene = parts.Scene.of(first, moved, which, by=by, side=side)
    mask = self.kept.mask(scene.old, scene.new)
    z, made = self.walked(
      source, batch, draws=draws, moved=moved, scene=scene, mask=mask
    )
    known = batch["image"] if self.begin.real else source.decode(z)
    fine = self.kept.finer(mask, source.image[0])
    image = self.kept.pasted(fine, source.decode(made), known)
    changed = fine[..., None].astype(jnp.float32)
    found = {"image": image, "source": known, "changed": changed}
    return found | {"moved": moved, "ellipses": first}

  def walked(
    self,
    source: model.Diffuser,
    batch: method.Batch,
    *,
    draws: procedure.Draws,
    moved: Array,
    scene: parts.Scene,
    mask: Array,
  ) -> tuple[Array, Array]:
    """Data [b, h, w, c] of both branches, see `apply` for the arguments."""
    two = batch, batch | {"ellipses": moved}
    told = parts.paired(*map(source.tell, two))
    table = self.table(source)
    calls = len(table)  # a spacing may give more than `steps`
    options = dict(steps=calls, scale=self.guidance, clip=self.clip)
    denoise = self.branches.denoise(source, told, scene, **options)
    states = self.begin.states(source, batch, draws, calls)

    def put(level, x, out):
      del out
      one, other = jnp.split(x, 2)
      one = states(one, level.index + 1, level.to_signal, level.to_noise)
      other = self.kept.blended(mask, other, one)
      return jnp.concatenate([one, other]), None

    x = self.begin.pair(states, draws, table.level)
    end, _ = samplers.sample(table, denoise, x, callback=put)
    return tuple(jnp.split(end, 2))

  def pictures(self) -> tuple[str, ...]:
    """Before and after."""
    return ("source", "image")
