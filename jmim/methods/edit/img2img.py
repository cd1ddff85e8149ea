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

    python -m jmim.main --mode=apply --config=configs/img2img_digits.py \
      --workdir=runs/edited --config.procedure.source.path=runs/digits
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers


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
    "class that the model is told: the image's own, a random one, or `label`",
    choices=("own", "random", "label"),
  )
  label: int = field.value(0, "class, with told='label'", low=0)

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
    return {"image": procedure.Input(source.image), **source.reads}

  def check(self, models) -> None:
    """Raises ValueError for a model or a class that will not do."""
    source = models["source"].diffuser
    source.require("encode", "decode")
    self.table(source)
    classes = source.reads["label"].high if "label" in source.reads else 0
    if self.told != "own" and not classes:
      raise ValueError(f"told={self.told!r}, and source has no classes")
    if self.told == "label" and self.label >= classes:
      raise ValueError(f"label={self.label} of {classes} classes of source")

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
    if self.told == "random":
      classes = source.reads["label"].high
      draws["label"] = jax.random.randint(keys("label"), (), 0, classes)
    return draws

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, h, w, c] in the units of the input, and the label told."""
    del fitted
    source = models["source"].diffuser
    shown = self.shown(batch, draws)
    z = source.encode(batch["image"], draws.get("posterior"))
    made = {"label": shown["label"]} if "label" in shown else {}
    return {"image": source.decode(self.edited(source, z, shown, draws))} | made

  def shown(self, batch, draws) -> procedure.Batch:
    """The batch with the class that the model is told."""
    if self.told == "own":
      return batch
    label = draws.get("label", jnp.full_like(batch["label"], self.label))
    return {**batch, "label": label}

  def edited(
    self, source: model.Diffuser, z: jax.Array, shown: Any, draws
  ) -> jax.Array:
    """What is diffused [b, h, w, c], noised and denoised."""
    levels, x = invert.begun(
      source.levels(self.steps), z, draws["start"], self.strength
    )
    if levels is None:
      return z
    told, nothing = source.tell(shown)
    denoise = source.denoise(told, nothing, scale=self.guidance, clip=self.clip)
    noise = draws.get("noise")
    noise = None if noise is None else invert.steps_first(noise)
    return samplers.sample(self.table(source), denoise, x, noise)[0]

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
