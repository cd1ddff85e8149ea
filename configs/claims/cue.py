"""CUE: its prior knows noise from darkness, and the enhancer beats a gain.

CIFAR-10, darkened at the evaluation with numbers of each image's own. Both
priors 1500 steps, and a masked autoencoder of pixels of equal size; the
enhancer of three stages, width 16, 1500 steps (the card: 3000), with both
priors. EMA, 1024 held-out images (C: 128), one seed.

A. Tokens of an encoder that sees all patches, by how far they move (relative L1
   distance): under noise of deviation 0.05 over in 0.7 of the light. That ratio
   of the prior over that of the autoencoder of pixels.
B. The prior's distance under noise of 0.01, 0.02, 0.05, 0.1: least rise, later
   over earlier.
C. Light behind hidden windows: L1 error over that of the mean of what is seen.
D. PSNR of the enhancer above the dark image, and above the dark image times the
   factor that fits it best, each image's own.

The card's ablation of both priors over three seeds takes 18 runs: left out.
Exact, in the tests: couplings undone, soft threshold, unfolding without learned
steps, counts of masks; the pictures of scikit-image and OpenCV.
"""

from jmim.tools import claims

RECIPE = "configs/cue_cifar10.py"
NOISES = ("0.01", "0.02", "0.05", "0.1")


def selective(result) -> float:
  """How much more noise moves features than darkness does."""
  return result["distances/noise_0.05"] / result["distances/dark"]


def least_rise(results) -> float:
  found = [results["noise"][f"distances/noise_{s}"] for s in NOISES]
  return min(b / a for a, b in zip(found, found[1:], strict=False))


def above(name: str):
  """PSNR of the enhancer above that of another image."""
  return lambda r: r["enhancer"]["restoration/psnr"] - r["enhancer"][name]


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "noise": claims.Run(f"{RECIPE}:stage=noise"),
      "pixels": claims.Run(f"{RECIPE}:stage=noise,target=pixels"),
      "light": claims.Run(f"{RECIPE}:stage=light"),
      "enhancer": claims.Run(
        f"{RECIPE}:noise={{workdir:noise}},light={{workdir:light}}"
      ),
    },
    conditions=(
      claims.Condition(
        text="A: noise over darkness, prior / autoencoder of pixels",
        value=lambda r: selective(r["noise"]) / selective(r["pixels"]),
        at_least=1.5,
      ),
      claims.Condition(
        text="B: distance under noise, least rise", value=least_rise, at_least=1
      ),
      claims.Condition(
        text="C: L1 behind hidden windows, prior / mean of what is seen",
        value=lambda r: r["light"]["recon/l1"] / r["light"]["recon/l1_colour"],
        at_most=0.6,
      ),
      claims.Condition(
        text="D: PSNR above the dark image",
        value=above("restoration/psnr_input"),
        at_least=6,
      ),
      claims.Condition(
        text="D: PSNR above its best gain",
        value=above("gained/psnr"),
        at_least=1,
      ),
    ),
    metrics=("restoration/psnr", "restoration/ssim", "recon/l1"),
  )
