"""DMAE: copying a pre-trained teacher makes a better small autoencoder.

CIFAR-10. Teacher: an MAE 192x6, 600 steps (the card allows 4000; more would
not fit in ten minutes). Students 96x4, 500 steps, same seed and data, with and
without the distillation, at 75 and 95 % masking; probes on all 10,000 test
images (with 2,000 chance alone moves a difference by a point).

A. Held-out L_d at most half of what fitting only the projection reaches on the
   frozen student that was not distilled.
   Not seen to hold (seed 0, this teacher of 600 steps): 0.83 of it. Features of
   a plain student are mapped linearly to L_d 0.024, of a distilled one 0.020.
B. Linear probe at least 0.5 points above plain MAE (an MAE teacher).
C. Going from 75 to 95 % costs the distilled student less.
"""

from jmim.tools import claims

STUDENT = "configs/dmae_cifar10.py"
TEACHER = "method.teacher={workdir:teacher}"
PROBE, GAP = "probe/accuracy", "loss/distill0"
WHOLE = ("evals.probe.limit=10000", "evals.probe.reference=False")
FAST = tuple(f"evals.{name}=None" for name in (
  "knn", "recon", "probe", "fewshot", "linear", "introspect",
))  # fmt: skip


def student(weight: float, ratio: float = 0.75) -> claims.Run:
  return claims.Run(
    f"{STUDENT}:steps=500,weight={weight},mask_ratio={ratio}",
    (TEACHER, *WHOLE),
  )


def lost(name: str):
  """Probe points that the higher masking costs."""
  return lambda r: r[name][PROBE] - r[f"{name}95"][PROBE]


def get_claim() -> claims.Claim:
  bigger = ("method.width=192", "method.depth=6", "method.heads=6")
  head_only = (
    TEACHER, "init_from.path={workdir:plain}",
    "optim.freeze=('/encoder/','/decoder/')", "evals.probe=None",
  )  # fmt: skip
  return claims.Claim(
    runs={
      "teacher": claims.Run("configs/mae_cifar10.py:steps=600",
                            (*bigger, *FAST)),
      "plain": student(0.0),
      "ours": student(1.0),
      "head": claims.Run(f"{STUDENT}:weight=1.0,steps=250", head_only),
      "plain95": student(0.0, 0.95),
      "ours95": student(1.0, 0.95),
    },
    conditions=(
      claims.Condition("A: L_d, distilled / projection only",
                       lambda r: r["ours"][GAP] / r["head"][GAP], 0.5),
      claims.Condition("B: probe points above plain MAE",
                       lambda r: r["ours"][PROBE] - r["plain"][PROBE],
                       at_least=0.5),
      claims.Condition("C: points lost at 95 %, ours - plain",
                       lambda r: lost("ours")(r) - lost("plain")(r), 0.0),
    ),
    metrics=(PROBE, GAP, "loss/recon"),
  )  # fmt: skip
