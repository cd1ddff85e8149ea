"""Arbitrary-scale latent diffusion: one latent, the same image at any size.

Shapes of 64 pixels, encoded at 32 to 16 x 16 x 4; autoencoder and baseline 1000
steps, diffusion 1500, alignment and its control 300 more.

i.   PSNR of 64-pixel restorations: implicit decoder above the usual decoder to
     32 pixels with bicubic interpolation behind it.
ii.  The same generated latents rendered at 64 and reduced by area, against
     their rendering at 32: PSNR at least 28 dB (EMA of the aligned model).
iii. E_t w_t |y - y^| on held-out images, on the same draws: lower after the
     alignment than after as many steps without the image's error, whose error
     of the noise it does not exceed by more than 2 %.
iv.  Exact: the decoder that the aligned model holds is the first stage's.

The card has i by 0.5 dB, 30 dB in ii and 5 % in iii after three to four times
as many steps.
"""

import functools

import jax
import numpy as np

import jmim
from jmim.metrics import restoration
from jmim.tools import claims

FIRST, SECOND = (
  "configs/autoencoder_inr_shapes.py",
  "configs/arbscale_shapes.py",
)
PSNR, N = "restoration/psnr", 64
DECODER = "method.first_stage.path={workdir:autoencoder}"
LEAN = (DECODER, "evals.samples=None")
START = ("init_from.path={workdir:diffusion}",)


@functools.cache
def samples(workdir, side: int) -> np.ndarray:
  """[N, side, side, 3] in 0 .. 1, of the same latents for every side."""
  model = jmim.load(workdir, weights="ema")
  made = model.override(f"method.first_stage.implicit.side={side}").sample(N)
  return made / 255.0


def consistency(results) -> float:
  """PSNR [dB], mean over samples, of 64 reduced to 32 against 32."""
  small, large = (samples(results["align"].workdir, n) for n in (32, 64))
  reduced = large.reshape(N, 32, 2, 32, 2, 3).mean((2, 4))
  pairs = zip(reduced, small, strict=True)
  return float(np.mean([restoration.psnr(a, b) for a, b in pairs]))


def ratio(results, key: str) -> float:
  """Of a mean error, aligned over control."""
  return results["align"][f"errors/{key}"] / results["control"][f"errors/{key}"]


def decoder_differs(results) -> int:
  """Arrays of the decoder that are not the first stage's, bit for bit."""
  held = jmim.load(results["align"].workdir).weights.consts["first_stage"]
  first = jmim.load(results["autoencoder"].workdir).weights.params["main"]
  differ = jax.tree.map(lambda a, b: int((a != b).any()), held, first)
  return sum(jax.tree.leaves(differ))


def get_claim() -> claims.Claim:
  later = lambda stage: claims.Run(f"{SECOND}:stage={stage}", (*LEAN, *START))
  return claims.Claim(
    runs={
      "autoencoder": claims.Run(FIRST),
      "baseline": claims.Run(f"{FIRST}:baseline=True"),
      "diffusion": claims.Run(SECOND, LEAN),
      "align": later("align"),
      "control": later("control"),
    },
    conditions=(
      claims.Condition(
        text="i: PSNR at 64 px, implicit - bicubic baseline [dB]",
        value=lambda r: r["autoencoder"][PSNR] - r["baseline"][PSNR],
        at_least=0.0,
      ),
      claims.Condition(
        text="ii: PSNR of one latent at 64 px reduced, and at 32 px [dB]",
        value=consistency,
        at_least=28.0,
      ),
      claims.Condition(
        text="iii: weighted error of the image, aligned / control",
        value=lambda r: ratio(r, "image"),
        at_most=1.0,
      ),
      claims.Condition(
        text="iii: error of the noise, aligned / control",
        value=lambda r: ratio(r, "eps"),
        at_most=1.02,
      ),
      claims.Condition(
        text="iv: arrays of the decoder that alignment changed",
        value=decoder_differs,
        at_most=0,
      ),
    ),
    metrics=(PSNR, "errors/eps", "errors/image"),
  )
