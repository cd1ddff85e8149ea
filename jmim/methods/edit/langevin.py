r"""Guidance by Langevin steps on a latent space of noises.

Wu and De la Torre 2023 (arXiv 2210.05559), the part on guidance: with the
noises of a sampler as its code, z = (x_T, eps_1, ..., eps_n), a diffusion model
is a generator G like a GAN, and an energy on images steers it without training:

    p(z | c) ~ N(z; 0, I) exp(-lambda E_c(G(z))),   E_c(x) = -log p(c | x)
    z <- z + sigma / 2 grad log p(z | c) + sqrt(sigma) w
    y = D(G(z))

p(c | x) is a frozen classifier's. G is a sampler of a few steps, all of which
are differentiated: DDIM, whose code is x_T alone, or with noise. It begins at
random codes, or at those of images (`start="image"`, by the DPM-encoder).

From memory of the paper, whose code of this part is elsewhere (a "generative
zoo") and was not seen: 200 steps. There are no numbers to compare with.

    python -m jmim.main --mode=apply --config=configs/langevin_scenes.py \
      --workdir=runs/steered --config.procedure.source.path=runs/base \
      --config.procedure.scorer.path=runs/attributes
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import langevin
from jmim.methods.parts import classifier_score
from jmim.methods.parts import code_sampler
from jmim.methods.parts import told
from jmim.methods.supervised import convnet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Langevin(procedure.Procedure):
  """Codes moved until a classifier sees a class in what is made of them."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that generates"
  )
  scorer: procedure.Needs = field.part(
    procedure.Needs, "classifier whose log p of a class is the energy"
  )
  code: code_sampler.CodeSampler = field.part(
    code_sampler.CodeSampler, "sampler whose noises move", steps=10, eta=0.0
  )
  start: str = field.value(
    "noise", "codes that are begun with", choices=("noise", "image")
  )
  moves: int = field.value(200, "Langevin steps", low=1)
  rate: float = field.value(0.01, "size sigma of a step", above=0.0, below=4.0)
  weight: float = field.value(1.0, "factor lambda of the energy", low=0.0)
  scale: float = field.value(
    0.0, "guidance by what the source is told; 0: told nothing, 1: no guidance"
  )
  told: str = field.value(
    "own",
    "class that is wanted: the example's own, a random one, or `label`",
    choices=told.CLASSES,
  )
  label: int = field.value(0, "class, with told='label'", low=0)
  head: str = field.value(
    classifier_score.ONE, "head of the scorer that tells the class"
  )

  @classmethod
  def tiny(cls) -> "Langevin":
    """Two moves of the codes of images, of three steps each."""
    return field.replace(
      cls(moves=2, start="image", told="random"),
      code=dict(steps=3, eta=0.5, refine=1),
    )

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """A classifier of tiny images."""
    return {"scorer": convnet.ConvNet.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """A diffusion model and a classifier."""
    return {"source": self.source, "scorer": self.scorer}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """What the source is told by, and images where they are begun with."""
    source = models["source"].diffuser
    image = {"image": procedure.Input(source.image)}
    reads = told.reads(self.told, source.reads)
    return (image if self.start == "image" else {}) | reads

  def check(self, models) -> None:
    """Raises ValueError for models or settings that do not go together."""
    source = models["source"].diffuser
    source.require("decode", "times", of="source")
    stochastic = self.code.tables(self.code.path(source))[0].stochastic
    if self.start == "image":
      source.require("encode", of="source")
      if not stochastic:
        raise ValueError("start='image' with code.eta=0: images have no code")
    elif self.code.early_stop:
      raise ValueError("code.early_stop with start='noise', which needs all")
    source.check_guidance(self.scale, "scale", "source", unused=0.0)
    known = self.known(models)
    if self.told == "own" and known != source.classes:
      raise ValueError(
        f"told='own': source's {source.classes}, scorer's {known}"
      )
    told.check(self.told, self.label, known, model="scorer")

  def known(self, models) -> int:
    """How many classes the scorer tells, and the source if it is told any."""
    source, scorer = models["source"].diffuser, models["scorer"]
    found = classifier_score.classes(scorer, self.head, source.image)
    return min(found, source.classes or found)

  def draw(self, keys, models, example) -> procedure.Draws:
    """begin, noise [n or n - 1, ...], walk of each, posterior, a label."""
    source = models["source"].diffuser
    levels, coded = self.code.path(source), self.start == "image"
    normal = lambda name, *lead: jax.random.normal(
      keys(name), (*lead, *source.shape)
    )
    draws = {"begin": normal("begin"), "walk": normal("walk", self.moves)}
    if self.code.tables(levels)[0].stochastic:
      draws["noise"] = normal("noise", len(levels) - coded)
      draws["walk_noise"] = normal("walk_noise", self.moves, len(levels))
    if coded and source.random:
      draws["posterior"] = normal("posterior")
    draws |= self.code.draw_again(keys, source.shape)
    return draws | told.draw(self.told, self.known(models), keys)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, h, w, c], energy [b, moves] before each, and the label."""
    del fitted
    source = models["source"].diffuser
    wanted = told.shown(self.told, self.label, batch, draws)
    denoise = source.denoise(
      *source.tell(wanted), scale=self.scale, clip=self.code.clip
    )
    levels = self.code.path(source)
    made = lambda z: self.code.decode(levels, jax.checkpoint(denoise), *z)

    def energy(z):
      scored, image = classifier_score.log_share, source.decode(made(z))
      return -scored(models["scorer"], self.head, image, wanted["label"])

    z, energies = langevin.walk(
      energy,
      self._begun(source, levels, denoise, batch=batch, draws=draws),
      self.walked(draws),
      rate=self.rate,
      weight=self.weight,
    )
    y = self.code.refined(source, denoise, made(z), draws)
    made = {"energy": energies.T, "label": wanted["label"]}
    return made | {"image": source.decode(y)}

  def _begun(self, source, levels, denoise, batch, draws):
    """The first codes: (x,), or (x, noises [n, b, ...])."""
    noise = ()
    if "noise" in draws:
      noise = (invert.steps_first(draws["noise"]),)
    if self.start == "noise":
      return (draws["begin"], *noise)
    z = source.encode(batch["image"], draws.get("posterior"))
    x = self.code.begun(levels, z, draws["begin"])
    return x, self.code.encode(levels, denoise, z, x=x, noise=noise[0])

  def walked(self, draws) -> tuple[jax.Array, ...]:
    """w of every move, like the codes: [moves, b, ...], [moves, n, b, ...]."""
    x = invert.steps_first(draws["walk"])
    if "walk_noise" not in draws:
      return (x,)
    return x, jnp.moveaxis(draws["walk_noise"], 0, 2)

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
