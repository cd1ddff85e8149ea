"""I-JEPA loses less than MAE to noise that nothing predicts: JEPA-linear, b.

CIFAR-10 with 12 of the 48 channels of every patch replaced by noise of four
times the variance (`noisy_channels`, made on first use beside `cifar10`), and
its control with none. The ridge probe of I-JEPA loses fewer points than that of
MAE, the same ViT (96x4) after the same 1000 steps, all 10,000 test images. MAE
predicts pixels as they are, as in the theory; nothing is cropped, shifted or
flipped, so that the channels stay in their places.
"""

from jmim.data.builders import noisy_channels
from jmim.tools import claims

PROBE = "probe/accuracy"
SHARED = (
  "data.device_crop=none",
  "data.flip=False",
  "data.mean=" + str((noisy_channels.MEAN,) * 3),
  "data.std=" + str((noisy_channels.STD,) * 3),
  "evals.probe.limit=10000",
  "evals.loss.every_steps=0",
)
UNUSED = ("knn", "fewshot", "linear", "introspect", "recon")
RECIPES = {
  "mae": claims.Run(
    "configs/mae_cifar10.py:steps=1000,norm_pix=False",
    tuple(f"evals.{name}=None" for name in UNUSED),
  ),
  "jepa": claims.Run("configs/ijepa_cifar10.py:steps=1000"),
}


def runs():
  """Both methods on clean and on noisy images."""
  for method, run in RECIPES.items():
    for kind, suffix in (("clean", "_clean"), ("noisy", "")):
      data = f"data.name=noisy_channels/cifar10{suffix}"
      changes = (data, *SHARED, *run.overrides)
      yield f"{method}_{kind}", claims.Run(run.config, changes)


def lost(r, method: str) -> float:
  """Points of the probe that the noise costs."""
  return r[f"{method}_clean"][PROBE] - r[f"{method}_noisy"][PROBE]


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs=dict(runs()),
    conditions=(
      claims.Condition(
        text="b: probe points lost to noise, I-JEPA - MAE",
        value=lambda r: lost(r, "jepa") - lost(r, "mae"),
        at_most=0.0,
      ),
    ),
    metrics=(PROBE, "probe/untrained_accuracy", "probe/pixels_accuracy"),
  )
