r"""CycleDiffusion: Unifying Diffusion Models' Latent Space.

Wu and De la Torre 2023 (ICCV, arXiv 2210.05559). A stochastic sampler is a
function G of all the noises that it consumes, z = (x_T, eps_1, ..., eps_n); the
DPM-encoder finds those of a given image in closed form. Decoded by another
model, or by the same one told another class, they make its translation:

    x    = a_0 E(x) + s_0 n_0
    x'   ~ q(x' | x, E(x)) = mu(x, E(x)) + sigma n_i      to the next level
    eps  = (x' - mu(x, x0(x; c))) / sigma                 x0: source, told c
    y    = D(G(z; target, told c'))

mu and sigma are those of DDIM with eta > 0, or of DDPM. Where the last step
adds noise (`code.spacing="offset"`, latents), G(z; source, c) is E(x) exactly;
where it ends clean, but for the source's error at the first time.

| AFHQ 256, 1000 steps, eta 0.1, early stop 850 | FID | PSNR | SSIM |
|---|---|---|---|
| cat to dog (paper) | 58.87 | 18.50 | .557 |
| wild to dog (paper) | 56.45 | 17.82 | .479 |

Of several skips, scales and trials that translation is kept which a frozen
model likes best, by `choice`: a classifier (log p of the class told), or CLIP,
as the authors', who tell sentences (cos of E_I(y) - E_I(x), E_T(t') - E_T(t));
`search.keep="all"` returns them all.

`tests/golden` compares codes, reconstructions and translations of pixels and of
guided latents, and the steps of DDIM; ChenWu98/cycle-diffusion@3edb980. Differs
from it: trials share their draws among skips, and where times are left out the
variances of DDPM and the start of an early stop follow (those of their latents
do). `python -m jmim.tools.claim cycle_diffusion` measures.

    python -m jmim.main --mode=apply --config=configs/cycle_scenes.py \
      --workdir=runs/blue --config.procedure.source.path=runs/base
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.methods.parts import choosing
from jmim.methods.parts import code_pair
from jmim.methods.parts import code_sampler
from jmim.methods.parts import search as searches
from jmim.methods.parts import told
from jmim.methods.supervised import convnet


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleDiffusion(procedure.Procedure):
  """Images encoded as noises by one model and decoded by another."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that encodes"
  )
  target: procedure.Needs = field.part(
    procedure.Needs,
    "diffusion model that decodes; with neither path nor recipe: the source",
  )
  scorer: procedure.Needs = field.part(
    procedure.Needs, "model that chooses, where there are several"
  )
  code: code_sampler.CodeSampler = field.part(
    code_sampler.CodeSampler, "sampler whose noises are the code"
  )
  search: searches.Search = field.part(
    searches.Search, "starts, scales and trials, and what is kept of them"
  )
  encoder_scale: float = field.value(
    1.0, "guidance by what the source is told; 1: none"
  )
  told: str = field.value(
    "own",
    "class that the target is told: the image's own, a random one, or `label`; "
    "target: the text `target_tokens` in the place of `tokens`",
    choices=told.CHOICES,
  )
  label: int = field.value(0, "class, with told='label'", low=0)
  choice: choosing.Choice = field.part(
    choosing.Choice, "score that the scorer gives", was="{}"
  )

  @classmethod
  def tiny(cls) -> "CycleDiffusion":
    """The best of eight, by a classifier, with a last step made again."""
    return field.replace(
      cls(told="random", encoder_scale=1.5),
      code=dict(steps=4, spacing="offset", eta=1.0, refine=1),
      search=dict(skip=(1, 0), scale=(1.0, 2.0), trials=2),
    )

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """A classifier of tiny images."""
    return {"scorer": convnet.ConvNet.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """source; target, where it is another; scorer, where one chooses."""
    found = {"source": self.source}
    if self.target.path or self.target.recipe:
      found["target"] = self.target
    return found | ({"scorer": self.scorer} if self.search.chooses else {})

  def ends(self, models) -> tuple[model.Diffuser, model.Diffuser]:
    """(the model that encodes, the one that decodes)."""
    source = models["source"].diffuser
    return source, models["target"].diffuser if "target" in models else source

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Images, and what the models are told by."""
    source, target = self.ends(models)
    reads, image = told.reads(self.told, target.reads), source.image
    texts = self.choice.inputs(models) if self.search.chooses else {}
    return {"image": procedure.Input(image), **texts, **reads, **source.reads}

  def in_own_units(self) -> tuple[str, ...]:
    """A scorer that brings pictures to its own."""
    return ("scorer",) if self.choice.in_own_units else ()

  def check(self, models) -> None:
    """Raises ValueError for models or settings that do not go together."""
    source, target = self.ends(models)
    source.require("encode", "times", of="source")
    target.require("decode", "times", of="target")
    self.search.check("search")
    for skip in self.search.skip:
      code_pair.check(self.code, source, target, skip)
    source.check_guidance(self.encoder_scale, "encoder_scale", "source")
    target.check_guidance(self.search.scale, "search.scale", "target")
    if self.scorer.path and not self.search.chooses:
      raise ValueError("scorer, and search has one result, or keeps all")
    if self.search.chooses:
      self.choice.check(models, source, target)
    own = dict(model="target", own=source.classes, inputs=target.reads)
    told.check(self.told, self.label, target.classes, **own)

  def draw(self, keys, models, example) -> procedure.Draws:
    """start, noise [trials, ...], posterior, a label, those of refining.

    noise [trials, n - 1, h, w, c] is of the longest path; others use its end.
    """
    source, target = self.ends(models)
    draw = lambda name, *lead: jax.random.normal(
      keys(name), (*lead, *source.shape)
    )
    steps = len(self.code.path(source, min(self.search.skip)))
    noise = draw("noise", self.search.trials, steps - 1)
    draws = {"start": draw("start", self.search.trials), "noise": noise}
    if source.random:
      draws["posterior"] = draw("posterior")
    draws |= self.code.draw_again(keys, source.shape)
    return draws | told.draw(self.told, target.classes, keys)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, h, w, c], or [b, k, h, w, c] of all, and how it was made.

    skip, scale, trial; rms of the noises, about 1 where the source is true;
    score, where one is chosen; label, where one is told.
    """
    del fitted
    shown = told.shown(self.told, self.label, batch, draws)
    z = self.ends(models)[0].encode(batch["image"], draws.get("posterior"))
    batches, chooses = {"batch": batch, "shown": shown}, self.search.chooses
    score = self.choice.score(models, **batches) if chooses else None
    make = lambda skip: self.tried(models, z, draws, skip=skip, **batches)
    label = {"label": shown["label"]} if "label" in shown else {}
    trials = draws["start"], draws["noise"]
    return self.search.run(make, trials, score) | label

  def tried(
    self, models, z: jax.Array, draws, *, skip: int, batch, shown: method.Batch
  ) -> tuple[searches.Encode, searches.Decode]:
    """(draws of a trial -> code, (code, scale) -> results)."""
    source, target = self.ends(models)
    levels, clip = self.code.path(source, skip), {"clip": self.code.clip}
    onward = self.code.path(target, skip)  # the same, by the target's times
    known, after = source.tell(batch), target.tell(shown)

    def encode(trial):
      start, noise = trial  # [b, h, w, c], [b, n - 1, h, w, c]
      denoise = source.denoise(*known, scale=self.encoder_scale, **clip)
      x = self.code.begun(levels, z, start)
      noise = invert.steps_first(noise)[noise.shape[1] - len(levels) + 1 :]
      return x, self.code.encode(levels, denoise, z, x=x, noise=noise)

    def decode(code, scale):
      denoise = target.denoise(*after, scale=scale, **clip)
      y = self.code.decode(onward, denoise, *code)
      image = target.decode(self.code.refined(target, denoise, y, draws))
      return {"image": image, "rms": self.code.rms(levels, code[1])}

    return encode, decode

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
