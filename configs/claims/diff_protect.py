"""Diff-Protect: what it costs not to differentiate the denoiser, what it keeps.

Counted (no run, no weights) of one step on one image at the published size, an
LDM of the size of Stable Diffusion 1 at 512 px, from the programs:

1. Products of the denoiser, SDS / AdvDM: at most a half; SDS has those of one
   forward pass exactly. (A backward pass has one product for each of those with
   weights, which get no gradient, but two for q k' and for a v: hence less than
   a half.) Of the whole step, the encoder forth and back included, less than 1:
   the card's 0.7 of the wall time cannot hold where the encoder is the larger
   net. Temporaries of the compiled steps: less than 1.

Trained: digits at 32 px, an autoencoder of factor 4 and an LDM (those of the
claim `ldm`), 64 images, 16/255, 100 steps of 1/255, SDEdit at strength 0.3 with
DDIM.

2. 1 - SSIM of the edit of protected images to that of clean ones: SDS at least
   0.9 of AdvDM, both ascending, and twice a random sign of the same size.
3. Relative gain of the encoder (latents / image) over that of the denoiser
   (noise / latents) at least 3, SDS descending. Card: at least 5 and less than
   1; both depend on the autoencoder, and are printed.
4. Descending changes are smoother than ascending ones: total variation, and
   share of high frequencies.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import config as configs
from jmim.core import field
from jmim.cost import flops
from jmim.metrics import perturbation
from jmim.session import applied
from jmim.session import given
from jmim.tools import claims

PUBLISHED = "configs/diff_protect_published.py"
SSIM = "mimicry/ssim"
LESS = ("evals.samples=None", "evals.errors=None")


@functools.cache
def parts(recipe: str = PUBLISHED) -> applied.Parts:
  """The procedure of a recipe on one device, its model as shapes."""
  config = configs.load(recipe)
  items = [f"evals.{name}=None" for name in config.evals]
  config = configs.override(config, ["data.batch=1", *items])
  one = jax.devices()[:1]
  return applied.make(config, given.shapes, one, data=False)


def step(attack: str, made: applied.Parts, blank: bool = False):
  """(a step of an attack on one image, its arguments as shapes).

  Args:
    attack: see `edit.diff_protect`.
    made: of a recipe.
    blank: with an encoder that has no products in the encoder's place.
  """
  owner, one = field.replace(made.procedure, attack=attack), made.given
  shape = one["source"].model().diffuser.shape

  def run(weights, batch, row):
    source = one["source"].model(weights).diffuser
    if blank:
      mean = lambda x, noise=None: jnp.zeros((len(x), *shape)) + x.mean()
      source = dataclasses.replace(source, encode=mean)
    row = row | {"told": source.told(batch)}
    return owner.moved(source, batch["image"], batch["image"], row)

  like = jax.ShapeDtypeStruct
  f32 = lambda *dims: like(dims, jnp.float32)
  batch = {n: like((1, *x.shape), x.dtype) for n, x in made.inputs.items()}
  row = {"alpha": f32(), "noise": f32(1, *shape), "posterior": f32(1, *shape)}
  row["t"] = like((1,), jnp.int32)
  return run, (one["source"].weights, batch, row)


@functools.cache
def products(attack: str, blank: bool = False) -> int:
  """FLOPs of a step."""
  run, shapes = step(attack, parts(), blank)
  return flops.count(run, *shapes)


@functools.cache
def forward() -> int:
  """FLOPs of one prediction of the noise."""
  made = parts()
  _, (weights, batch, row) = step("sds", made)

  def eps(weights, batch, x, t):
    source = made.given["source"].model(weights).diffuser
    return source.eps(x, t, source.told(batch))

  return flops.count(eps, weights, batch, row["noise"], row["t"])


@functools.cache
def temporaries(attack: str) -> int:
  """Bytes that the compiled step needs beside its arguments and results."""
  run, shapes = step(attack, parts())
  compiled = jax.jit(run).lower(*shapes).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def stored(results: claims.Results, name: str) -> dict[str, np.ndarray]:
  """All that a run of the procedure has made."""
  where = results[name].workdir
  found = [dict(np.load(p)) for p in where.glob("applied/*/eval/part_*.npz")]
  return {n: np.concatenate([f[n] for f in found]) for n in found[0]}


def rough(results: claims.Results, name: str, measure) -> float:
  """A measure of the changes of images, mean."""
  made = stored(results, name)
  change = made["image"].astype(np.float64) - made["clean"]
  return float(measure(change).mean())


def spoiled(results: claims.Results, name: str) -> float:
  """1 - SSIM between the edits of protected and of clean images."""
  return 1 - results[name][SSIM]


def counted():
  yield claims.Condition(
    text="1: products of the denoiser, SDS / AdvDM",
    value=lambda r: products("sds", True) / products("advdm", True),
    at_most=0.5,
  )
  yield claims.Condition(
    text="1: products of the denoiser, SDS / one forward pass",
    value=lambda r: products("sds", True) / forward(),
    at_least=1.0,
    at_most=1.0,
  )
  yield claims.Condition(
    text="1: products of the whole step (card: 0.7 of the wall time)",
    value=lambda r: products("sds") / products("advdm"),
    at_most=0.999,
  )
  yield claims.Condition(
    text="1: temporaries of the whole step",
    value=lambda r: temporaries("sds") / temporaries("advdm"),
    at_most=0.999,
  )


def trained():
  for name, least in (("advdm", 0.9), ("random", 2.0)):
    yield claims.Condition(
      text=f"2: 1 - SSIM of edits, SDS ascending / {name}",
      value=lambda r, name=name: spoiled(r, "plus") / spoiled(r, name),
      at_least=least,
    )
  gain = lambda r, name: float(stored(r, "minus")[f"{name}_gain"].mean())
  yield claims.Condition(
    text="3: relative gain, encoder / denoiser",
    value=lambda r: gain(r, "encoder") / gain(r, "denoiser"),
    at_least=3.0,
  )
  for name, card in (("encoder", ">= 5"), ("denoiser", "<= 1")):
    yield claims.Condition(
      text=f"3: relative gain of the {name} (card: {card}; printed only)",
      value=lambda r, name=name: gain(r, name),
      at_most=math.inf,
    )
  measures = {
    "total variation": perturbation.variation,
    "share of high frequencies": perturbation.high_share,
  }
  for text, measure in measures.items():
    yield claims.Condition(
      text=f"4: {text}, descending / ascending",
      value=lambda r, measure=measure: (
        rough(r, "minus", measure) / rough(r, "plus", measure)
      ),
      at_most=1.0,
    )


def get_claim() -> claims.Claim:
  protect = (
    "configs/diff_protect_digits.py:attack={},source={{workdir:latents}}"
  )
  return claims.Claim(
    runs={
      "classifier": claims.Run("configs/convnet_digits.py", shared=True),
      "first_stage": claims.Run(
        "configs/autoencoder_kl_digits.py",
        (
          "method.losses.perceptual=small",
          "method.losses.perceptual_path={workdir:classifier}",
        ),
        shared=True,
      ),
      "latents": claims.Run(
        "configs/ldm_digits.py",
        ("method.first_stage.path={workdir:first_stage}", *LESS),
        shared=True,
      ),
      "minus": claims.Run(protect.format("sds")),
      "plus": claims.Run(protect.format("sds,direction=ascent")),
      "advdm": claims.Run(protect.format("advdm,direction=ascent")),
      "random": claims.Run(protect.format("random")),
    },
    conditions=(*counted(), *trained()),
    metrics=(SSIM, "mimicry/psnr", "natural/psnr", "natural/ssim"),
  )
