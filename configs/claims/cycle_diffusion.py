"""CycleDiffusion: codes keep what two models share and change what they do not.

A. Two Gaussians in 16 dimensions with exact noise predictors (no training; 512
   points): 8 coordinates N(0, 1) that both share, 8 of variance 0.1 with mean 2
   in the one and -2 in the other; 1000 steps, eta 1, as the card measured it.
   Begun at 500, encoded by the one and decoded by the other, the shared ones
   correlate by 0.99 with the input, by 0.4 more than decoded with fresh noise.
   Begun at 850 and at 1000, the mean of the others is within 0.1 of -2. Noises
   of the true model are N(0, 1): the least p of Kolmogorov-Smirnov tests of
   every 50th (of the first 800: nearer to data, steps of finite length are
   wider). Where the last step adds noise, points come back.
B. Scenes of one thing (a base run of 3000 steps, shared; 256 edits, 40 of 50
   steps, told a random colour): masks overlap more than decoded with fresh
   noise from the same starts, at equal accuracy of the colour (2 points), which
   is at least 90 %. Card: an overlap of at least 0.8; reported.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jmim.diffusion import model
from jmim.diffusion import schedule
from jmim.methods.parts import code_sampler
from jmim.tools import claims

RECIPE = "configs/cycle_scenes.py:base={workdir:base}"
LESS = ("evals.samples=None", "evals.errors=None")  # of the shared base run
IOU, COLOUR = "edits/iou", "edits/asked_colour"
N, HALF, FAR = 512, 8, 2.0
VARIANCE = np.repeat([1.0, 0.1], HALF)
LINEAR = schedule.make("linear")


def gaussian(far: float) -> model.Diffuser:
  """The exact model of N((0, far), VARIANCE)."""
  a, s = (jnp.asarray(x, jnp.float32) for x in (LINEAR.signal, LINEAR.noise))
  mean = jnp.repeat(jnp.array([0.0, far]), HALF)

  def network(x, t, told):
    del told
    signal, noise = (table[t.astype(int)][:, None] for table in (a, s))
    spread = signal**2 * jnp.asarray(VARIANCE, jnp.float32) + noise**2
    return noise * (x - signal * mean) / spread

  return model.Diffuser(shape=(2 * HALF,), schedule=LINEAR, network=network)


def points(rng: np.random.Generator) -> np.ndarray:
  """[N, 16] float32 of the first."""
  z = np.sqrt(VARIANCE) * rng.normal(size=(N, 2 * HALF))
  return (z + np.repeat([0.0, FAR], HALF)).astype(np.float32)


@functools.cache
def measured(stop: int) -> dict[str, float]:
  """What is kept and what is changed, begun at a time."""
  rng = np.random.default_rng(0)
  normal = lambda *lead: jnp.asarray(
    rng.normal(size=(*lead, N, 2 * HALF)), jnp.float32
  )
  code = code_sampler.CodeSampler(steps=1000, eta=1.0, early_stop=stop)
  one, other = gaussian(FAR), gaussian(-FAR)
  levels = code.path(one)

  @jax.jit
  def run(z, start, noise, fresh):
    x = code.begun(levels, z, start)
    eps = code.encode(levels, one.denoise(), z, x=x, noise=noise)
    decode = lambda e: code.decode(levels, other.denoise(), x, e)
    return eps, decode(eps), decode(fresh)

  z = points(rng)
  eps, moved, anew = run(z, normal(), normal(stop - 1), normal(stop))
  alike = lambda y: float(
    np.mean([np.corrcoef(z[:, i], y[:, i])[0, 1] for i in range(HALF)])
  )
  slots = np.asarray(eps)[: stop - 200 : 50]
  return {
    "kept": alike(moved),
    "gain": alike(moved) - alike(anew),
    "off": abs(float(moved[:, HALF:].mean()) + FAR),
    "p": min(scipy.stats.kstest(x.ravel(), "norm").pvalue for x in slots),
  }


@functools.cache
def returned() -> float:
  """Greatest error of points that are encoded and decoded by one model."""
  rng = np.random.default_rng(0)
  code = code_sampler.CodeSampler(steps=100, spacing="offset", eta=0.1)
  one = gaussian(FAR)
  levels, z = code.path(one), points(rng)
  start, *noise = rng.normal(size=(100, *z.shape)).astype(np.float32)

  @jax.jit
  def run(z, start, noise):
    x = code.begun(levels, z, start)
    eps = code.encode(levels, one.denoise(), z, x=x, noise=noise)
    return code.decode(levels, one.denoise(), x, eps)

  return float(np.abs(run(z, start, np.stack(noise)) - z).max())


def get_claim() -> claims.Claim:
  of = lambda name, stop: lambda r: measured(stop)[name]
  gap = lambda r, name: r["cycle"][name] - r["fresh"][name]
  exact = (
    ("A: correlation of what is shared, begun at 500", of("kept", 500), 0.99),
    ("A: the same less that with fresh noise", of("gain", 500), 0.4),
    ("A: least p that noises are N(0, 1)", of("p", 1000), 1e-3),
  )
  near = (
    ("A: mean of what differs, less -2, begun at 850", of("off", 850), 0.1),
    ("A: the same, begun at 1000", of("off", 1000), 0.1),
    ("A: error of points told the same", lambda r: returned(), 1e-4),
  )
  return claims.Claim(
    runs={
      "base": claims.Run("configs/ddpm_scenes.py", LESS, shared=True),
      "cycle": claims.Run(RECIPE),
      "fresh": claims.Run(f"{RECIPE},fresh=True"),
    },
    conditions=(
      *(
        claims.Condition(text=text, value=value, at_least=least)
        for text, value, least in exact
      ),
      *(
        claims.Condition(text=text, value=value, at_most=most)
        for text, value, most in near
      ),
      claims.Condition(
        text="B: overlap of masks, codes - fresh noise",
        value=lambda r: gap(r, IOU),
        at_least=0.0,
      ),
      claims.Condition(
        text="B: points of colour accuracy, codes - fresh noise",
        value=lambda r: gap(r, COLOUR),
        at_least=-2.0,
        at_most=2.0,
      ),
      claims.Condition(
        text="B: colour accuracy of codes, percent",
        value=lambda r: r["cycle"][COLOUR],
        at_least=90.0,
      ),
    ),
    metrics=(IOU, COLOUR, "edits/psnr", "edits/ssim", "edits/before_colour"),
  )
