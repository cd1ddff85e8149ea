r"""Images that tell a diffusion model of texts what to draw (ThinkDiff).

Mi et al. 2025, inference: the projector of `text.thinkdiff` has learnt to write
into the space of a T5's encoder, and a diffusion model that is told by this
encoder understands it, though no image ever told it anything.

    m      = [h(image 1), h(image 2) .., encoder(text)]    images first
    x_T    ~ N(0, 1)
    y      = D(sampler of net(x, t, m) from x_T on)

What is told is `parts/joined.py`: `told.images` of an example (0: none), and
with `told.text` its text.

The model must be told by a sequence of vectors of the T5 that the projector
learnt with: `latent.ldm` on the task `text` with an encoder `t5`, or on
`context`. FLUX, which the paper used (28 steps, guidance 3.5), is not here.

    python -m jmim.main --mode=apply --config=configs/prompted_scenes.py \
      --workdir=W --config.procedure.source.path=runs/told \
      --config.procedure.projector.path=runs/thinkdiff
"""

import dataclasses

from jmim.core import field
from jmim.core import method as methods
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.methods.latent import ldm
from jmim.methods.parts import joined
from jmim.methods.text import thinkdiff

ROLES = ("source", "projector")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompted(procedure.Procedure):
  """Samples of a diffusion model told by projected features."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model told by texts"
  )
  projector: procedure.Needs = field.part(
    procedure.Needs, "run of text.thinkdiff"
  )
  told: joined.Joined = field.part(joined.Joined, "images and texts as told")
  steps: int = field.value(50, "sampling steps", low=1)
  sampler: str = field.value("ddim", "sampler", choices=solvers.NAMES)
  eta: float = field.value(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  guidance: float = field.value(
    2.0, "classifier-free guidance: 1 as told, 0 told nothing"
  )
  clip: float = field.value(0.0, "limit of |x0|; 0: none (latents)", low=0.0)

  @classmethod
  def tiny(cls) -> "Prompted":
    """Two steps, told an image and a text."""
    return cls(steps=2, told=joined.Joined(text=True))

  @classmethod
  def stand_ins(cls) -> dict[str, methods.Method]:
    """A tiny model told by as wide a context, and a tiny projector."""
    projector = thinkdiff.ThinkDiff.tiny()
    source = ldm.LDM.tiny()
    condition = dict(task=joined.CONTEXT, context=projector.t5.width)
    labels = dict(classes=0, drop=0.1)
    source = dataclasses.replace(
      source,
      condition=dataclasses.replace(source.condition, **condition),
      labels=dataclasses.replace(source.labels, **labels),
    )
    return {"source": source, "projector": projector}

  def models(self) -> dict[str, procedure.Needs]:
    """The diffusion model and the projector."""
    return {"source": self.source, "projector": self.projector}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """What the projector reads of an image, and the source of a text."""
    return self.told.inputs(models["source"], models["projector"])

  def check(self, models) -> None:
    """Raises ValueError for models or fields that do not go together."""
    source = models["source"].diffuser
    source.require("decode")
    source.check_guidance(self.guidance)
    self.told.check(models["source"], models["projector"])
    self.table(source).check(self.sampler)

  def table(self, source: model.Diffuser) -> samplers.Table:
    """The sampler."""
    return solvers.make(self.sampler, source.levels(self.steps), eta=self.eta)

  def draw(self, keys, models, example) -> procedure.Draws:
    """start [h, w, c], and noise of each step where there is some."""
    source = models["source"].diffuser
    return self.table(source).draw(keys, source.shape)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, h, w, c]."""
    del fitted
    source = models["source"].diffuser
    told, nothing = self.told.told(*map(models.get, ROLES), batch)
    denoise = source.denoise(told, nothing, scale=self.guidance, clip=self.clip)
    noise = draws.get("noise")
    noise = None if noise is None else invert.steps_first(noise)
    x = samplers.sample(self.table(source), denoise, draws["start"], noise)[0]
    return {"image": source.decode(x)}

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
