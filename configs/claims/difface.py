"""DifFace: noise makes a restorer's error small, and what is lost comes back.

Faces of 16 px. A restorer (restorer_faces, 1000 steps), a diffusion model of
clean faces (difface_faces, 1500 steps, EMA), a classifier of hair and mouth in
whose features Frechet distances are measured. 512 faces of the test split,
spoilt by the heavy tier (reduced by 8, blur of 2 px and more), are restored
from 0.1, 0.2, 0.4, 0.6 and 0.8 of the 50 visited times; 0 is the estimate.

1. Exact, of the published process: KL(q(x_n | x) || p(x_n | z)) over the
   squared error of z is a_n^2 / (2 s_n^2) = 0.120 at n = 100 of 250, time 400.
2. Exact: what is left of the distance of two estimates once both have the same
   noise, over a_n of the small model at n = 20, is 1.
3. PSNR falls with n: its largest rise from one start to the next [dB].
4. The Frechet distance is least inside: best of 0.2, 0.4 and 0.6 over the best
   of 0, 0.1 and 0.8.
5. At n = 20 it is below that of the estimate. (Card: 0.7 of it, and at most
   3 dB of PSNR lost, at 32 px and for longer.)
6. It gains at least as much there as in the light tier: the ratio of 5, light
   less heavy.

In the tests: start 0, known pixels, eta 0 and 1, spaced times, and the
divergence of 1 itself, estimated by draws.
"""

import functools

import numpy as np

import jmim
from jmim.data import sources
from jmim.data.procedural import drawing
from jmim.diffusion import targets
from jmim.methods.restore import difface
from jmim.metrics import generation
from jmim.metrics import restoration
from jmim.tools import claims

N, STEPS = 512, 50
STARTS = tuple(round(share * STEPS) for share in (0.1, 0.2, 0.4, 0.6, 0.8))
ENDS, INSIDE = (0, STARTS[0], STARTS[-1]), STARTS[1:-1]
SMALL = ("data.size=16", "method.size=16", "method.classes=12")


@functools.cache
def images(name: str, data_dir: str) -> list:
  """The first N images of the test split, encoded."""
  source = sources.build(name, "test", data_dir)
  return [source[i]["image"] for i in range(N)]


@functools.cache
def made(workdir, start: int, tier: str) -> dict[str, np.ndarray]:
  """uint8 image and target [N, 16, 16, 3]; from 0 the restorer's estimate."""
  m = jmim.load(workdir, weights="ema")
  m = m.override(
    f"method.degraded.degradation=face_{tier}",
    f"method.contraction.start={start}",
  )
  faces = images(m.config["data"]["name"], m.config["data"]["data_dir"])
  out = m("restore", faces)
  pixels = lambda x: drawing.levels((x + 1) * 127.5)
  return {name: pixels(out[name]) for name in ("image", "target")}


def psnr(results, start: int) -> float:
  """Mean over images, heavy tier [dB]."""
  x = made(results["difface"].workdir, start, "heavy")
  pairs = zip(x["image"] / 255, x["target"] / 255, strict=True)
  return float(np.mean([restoration.psnr(a, b) for a, b in pairs]))


@functools.cache
def moments(classifier, workdir, start: int, tier: str, name: str):
  """Of the classifier's features of images or targets."""
  pictures = made(workdir, start, tier)[name]
  return generation.of(jmim.load(classifier)("features", pictures))


def distance(results, start: int, tier: str = "heavy") -> float:
  """Frechet distance to the whole images."""
  where = (results["classifier"].workdir, results["difface"].workdir)
  a, b = (moments(*where, start, tier, name) for name in ("image", "target"))
  return generation.frechet(a.mean, a.covariance, b.mean, b.covariance)


def least(results, starts) -> float:
  return min(distance(results, start) for start in starts)


def gain(results, tier: str) -> float:
  """Frechet distance from n = 20 over that of the estimate."""
  start = STARTS[2]
  return distance(results, start, tier) / distance(results, 0, tier)


def factor(results) -> float:
  """a^2 / (2 s^2) of the published start."""
  del results
  m = difface.DifFace()
  a, s = m.contraction.level(m.noise, m.sampling)
  return a**2 / (2 * s**2)


def shrunk(results) -> float:
  """Distance of two noised estimates over a_n times that of the estimates."""
  m = jmim.load(results["difface"].workdir).method
  a, s = m.contraction.level(m.noise, m.sampling)
  x, y, noise = np.random.default_rng(0).normal(size=(3, 16, 16, 3))
  apart = targets.noised(x, noise, a, s) - targets.noised(y, noise, a, s)
  power = m.noise.process.respaced(range(0, 200, 4)).power[STARTS[2]]
  return float(np.linalg.norm(apart) / np.linalg.norm(x - y) / power**0.5)


def rise(results) -> float:
  found = [psnr(results, start) for start in (0, *STARTS)]
  return float(np.diff(found).max())


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "classifier": claims.Run(
        "configs/convnet_digits.py:data=faces/small", SMALL
      ),
      "restorer": claims.Run("configs/restorer_faces.py"),
      "difface": claims.Run(
        "configs/difface_faces.py:restorer={workdir:restorer}"
      ),
    },
    conditions=(
      claims.Condition(
        text="1: KL over the squared error at n = 100 of 250",
        value=factor,
        at_least=0.1195,
        at_most=0.1205,
      ),
      claims.Condition(
        text="2: distance of two noised estimates over a_n times theirs",
        value=shrunk,
        at_least=1 - 1e-6,
        at_most=1 + 1e-6,
      ),
      claims.Condition(
        text="3: largest rise of PSNR with the start index, dB",
        value=rise,
        at_most=0.0,
      ),
      claims.Condition(
        text="4: Frechet distance, best inside / best of the ends",
        value=lambda r: least(r, INSIDE) / least(r, ENDS),
        at_most=1.0,
      ),
      claims.Condition(
        text="5: Frechet distance, n = 20 / estimate, heavy",
        value=lambda r: gain(r, "heavy"),
        at_most=1.0,
      ),
      claims.Condition(
        text="6: the same ratio, light - heavy",
        value=lambda r: gain(r, "light") - gain(r, "heavy"),
        at_least=0.0,
      ),
    ),
    metrics=("restoration/psnr", "estimate/psnr", "restore/psnr", "errors/eps"),
  )
