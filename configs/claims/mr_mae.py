"""MR-MAE: mimicking on visible tokens helps features, and harms no pixels.

CIFAR-10, patch 4, teacher ViT 128x4 trained with labels for 2 epochs (780
steps, that of the claim `maskalign`), students ViT 96x4 with 75 % hidden, 500
steps (the card: 5 epochs and 1500 steps, which would take an hour), one seed.

A. Linear probe at least 5 points above reconstruction alone.
B. Held-out reconstruction loss at most 5 % above reconstruction alone.

The card's third condition needs a run with the targets on hidden tokens, which
is not the method: left out.
"""

from jmim.tools import claims

RECIPE = "configs/mr_mae_cifar10.py:steps=500"
TEACHER = "method.teacher.path={workdir:teacher}"
RECON, PROBE = "loss/recon", "probe/accuracy"
PLAIN = ("evals.probe.reference=False", "evals.recon=None")


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "teacher": claims.Run(
        "configs/teacher_cifar10.py:steps=780", shared=True
      ),
      "both": claims.Run(RECIPE, (TEACHER, *PLAIN)),
      "recon": claims.Run(f"{RECIPE},teacher=none", PLAIN),
    },
    conditions=(
      claims.Condition(
        text="A: probe points above reconstruction alone",
        value=lambda r: r["both"][PROBE] - r["recon"][PROBE],
        at_least=5.0,
      ),
      claims.Condition(
        text="B: reconstruction loss, both / alone",
        value=lambda r: r["both"][RECON] / r["recon"][RECON],
        at_most=1.05,
      ),
    ),
    metrics=(RECON, PROBE),
  )
