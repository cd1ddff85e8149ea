"""MaskAlign: a teacher that sees all teaches visible patches more than pixels.

CIFAR-10, patch 4, teacher ViT 128x4 trained with labels for 2 epochs, students
128x4, 70 % hidden, 400 steps; the one with random masking, of which only the
masks count, 100.

A. Linear probe at least 5 points above a plain MAE of the same size and steps.
B. Learned mixing of layers ends at a lower loss than layer by layer.
C. Attention masking keeps patches of more than average importance (mean kept /
   mean of all above 1.1); random masking gives 1.0 +- 0.02.
"""

from jmim.tools import claims

RECIPE = "configs/maskalign_cifar10.py:steps="
TEACHER = "method.teacher={workdir:teacher}"
LOSS, PROBE, KEPT = "loss/loss", "probe/accuracy", "loss/kept_importance"
FAST = tuple(
  f"evals.{name}=None"
  for name in (
    "knn",
    "recon",
    "fewshot",
    "linear",
    "introspect",
  )
)


def get_claim() -> claims.Claim:
  size = (
    "method.dims.width=128",
    "method.dims.depth=4",
    "method.dims.heads=4",
  )
  lean = ("evals.probe=None",)
  plain = ("evals.probe.reference=False",)
  return claims.Claim(
    runs={
      "teacher": claims.Run(
        "configs/teacher_cifar10.py:steps=780", shared=True
      ),
      "ours": claims.Run(f"{RECIPE}400", (TEACHER, *plain)),
      "mae": claims.Run(
        "configs/mae_cifar10.py:steps=400",
        (*size, *plain, *FAST),
      ),
      "simple": claims.Run(f"{RECIPE}400,fusion=simple", (TEACHER, *lean)),
      "random": claims.Run(f"{RECIPE}100,visible=random", (TEACHER, *lean)),
    },
    conditions=(
      claims.Condition(
        text="A: probe points above MAE",
        value=lambda r: r["ours"][PROBE] - r["mae"][PROBE],
        at_least=5.0,
      ),
      claims.Condition(
        text="B: loss, mixing / layer by layer",
        value=lambda r: r["ours"][LOSS] / r["simple"][LOSS],
        at_most=1.0,
      ),
      claims.Condition(
        text="C: importance kept by attention",
        value=lambda r: r["ours"][KEPT],
        at_least=1.1,
      ),
      claims.Condition(
        text="C: importance kept at random",
        value=lambda r: r["random"][KEPT],
        at_most=1.02,
        at_least=0.98,
      ),
    ),
    metrics=(LOSS, PROBE, KEPT),
  )
