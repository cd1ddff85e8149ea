r"""SDEdit: Image Synthesis and Editing with Stochastic Differential Equations.

Meng, He, Song, Song, Wu, Zhu, Ermon, ICLR 2022: an image is noised to a level
and denoised from there by a frozen model, which may be told another class. With
the latents of a first stage it is "image to image" of Stable Diffusion.

    z   = E(x)
    x_k = a_k z + s_k eps                    k: `strength` of the steps are left
    y   = D(sampler from x_k on, told c)

Strength 0 gives D(E(x)), 1 a new sample. The paper adds noise of the
variance-exploding kind and, for the other kind, this; it has no numbers that a
frozen model here could be compared with. Its sampler is ancestral: `ddpm`, or
`ddim` with `eta=1`; DDIM without noise is what later work uses.

With `once` y is what the first call predicts, D(x0(x_k)). With `hole` it is
inpainting: all but a rectangle in the centre is put back after each step
(`diffusion/inpaint.py`), and the hole begins as noise alone.

    python -m jmim.main --mode=apply --config=configs/img2img_digits.py \
      --workdir=runs/edited --config.procedure.source.path=runs/digits
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import inpaint
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.methods.parts import told as classes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Img2Img(procedure.Procedure):
  """Images noised to a strength and denoised by a frozen model."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that changes images"
  )
  strength: float = field.value(
    0.5, "share of the steps that are made; 0: none", low=0.0, high=1.0
  )
  steps: int = field.value(50, "sampling steps from noise to data", low=1)
  sampler: str = field.value("ddim", "sampler", choices=solvers.NAMES)
  eta: float = field.value(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  guidance: float = field.value(
    1.0, "classifier-free guidance: 1 conditional, 0 unconditional"
  )
  clip: float = field.value(0.0, "limit of |x0|; 0: none (latents)", low=0.0)
  told: str = field.value(
    "own",
    "class that the model is told: the image's own, a random one, or `label`; "
    "target: the text `target_tokens` in the place of `tokens`",
    choices=classes.CHOICES,
  )
  label: int = field.value(0, "class, with told='label'", low=0)
  once: bool = field.value(
    False, "data that one call predicts, in the place of the sampler's steps"
  )
  hole: float = field.value(
    0.0,
    "share of a side that is filled, in the centre; 0: the whole image changes",
    low=0.0,
    below=1.0,
  )

  @classmethod
  def tiny(cls) -> "Img2Img":
    """The last two of four ancestral steps towards a random class."""
    return cls(steps=4, sampler="ddpm", told="random", guidance=2.0)

  def models(self) -> dict[str, procedure.Needs]:
    """One diffusion model."""
    return {"source": self.source}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Images, and what the model is told by."""
    source = models["source"].diffuser
    reads = classes.reads(self.told, source.reads)
    return {"image": procedure.Input(source.image), **reads}

  def check(self, models) -> None:
    """Raises ValueError for a model or a class that will not do."""
    source = models["source"].diffuser
    source.require("encode", "decode")
    source.check_guidance(self.guidance)
    self.table(source)
    own = dict(model="source", inputs=source.reads)
    classes.check(self.told, self.label, source.classes, **own)
    if self.hole:
      inpaint.outside(source.shape, self.hole)
    if self.hole and (self.once or self.strength < 1):
      other = "once" if self.once else f"strength={self.strength:g}"
      raise ValueError(f"hole={self.hole:g}, filled from noise, with {other}")

  def table(self, source: model.Diffuser) -> samplers.Table | None:
    """The sampler along the last steps; None: there are none."""
    levels = source.levels(self.steps)
    levels, _ = invert.begun(levels, 0.0, noise=0.0, strength=self.strength)
    if levels is None:
      return None
    made = solvers.make(self.sampler, levels, eta=self.eta)
    made.check(self.sampler)
    return made

  def draw(self, keys, models, example) -> procedure.Draws:
    """start and noise [n, h, w, c], posterior, and a random label."""
    source = models["source"].diffuser
    draws = {"start": jax.random.normal(keys("start"), source.shape)}
    if source.random:
      draws["posterior"] = jax.random.normal(keys("posterior"), source.shape)
    table = self.table(source)
    if table is not None and table.stochastic:
      shape = (len(table), *source.shape)
      draws["noise"] = jax.random.normal(keys("noise"), shape)
    return draws | classes.draw(self.told, source.classes, keys)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, h, w, c] in the units of the input, and the label told."""
    del fitted
    source = models["source"].diffuser
    shown = classes.shown(self.told, self.label, batch, draws)
    z = source.encode(batch["image"], draws.get("posterior"))
    made = {"label": shown["label"]} if "label" in shown else {}
    return {"image": source.decode(self.edited(source, z, shown, draws))} | made

  def edited(
    self, source: model.Diffuser, z: jax.Array, shown: Any, draws
  ) -> jax.Array:
    """What is diffused [b, h, w, c], noised and denoised."""
    keep, known = None, z
    if self.hole:
      keep = inpaint.outside(source.shape, self.hole)
      known = jnp.where(keep, z, 0.0)
    levels, x = invert.begun(
      source.levels(self.steps), known, draws["start"], self.strength
    )
    if levels is None:
      return z
    told, nothing = source.tell(shown)
    denoise = source.denoise(told, nothing, scale=self.guidance, clip=self.clip)
    table = self.table(source)
    if self.once:
      rows = samplers.rows_of(table, x.dtype)
      return denoise(x, jax.tree.map(lambda a: a[0], rows["level"])).x0
    noise = draws.get("noise")
    noise = None if noise is None else invert.steps_first(noise)
    put = inpaint.keeping(keep, z, draws["start"]) if self.hole else None
    return samplers.sample(table, denoise, x, noise, callback=put)[0]

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
