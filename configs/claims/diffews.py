"""DiffewS: what a support says of a scene, on classes that nobody trained on.

A base diffusion model on scenes of one thing (3000 steps; shared), then 2000
steps of 8 episodes of six classes; the other two are measured (200 test
episodes, mIoU in percent). Card: 32 px; here folded to 16 x 16 x 12.

i.   One support above an empty bank, which cannot know the thing that is meant:
     at least 15 points.
ii.  Supports of another class lower it (card: to less than 30; reported).
iii. Five supports lose at most a point to one.
iv.  From the base at least 5 points above random weights at equal steps.

The card's absolute 50 is reported, not required.
"""

from jmim.tools import claims

BASE = "configs/ddpm_scenes.py:predict=eps"
RECIPE, ONE = "configs/diffews_scenes.py", "one/miou"
LESS = ("evals.samples=None", "evals.errors=None")


def get_claim() -> claims.Claim:
  tuned = f"{RECIPE}:base={{workdir:base}}"
  of = lambda name: lambda r: r["tuned"][ONE] - r["tuned"][f"{name}/miou"]
  return claims.Claim(
    runs={
      "base": claims.Run(BASE, LESS, shared=True),
      "tuned": claims.Run(tuned),
      "random": claims.Run(RECIPE),
    },
    conditions=(
      claims.Condition(
        text="i: mIoU points, one support - an empty bank",
        value=of("alone"),
        at_least=15.0,
      ),
      claims.Condition(
        text="ii: mIoU points, one support - one of another class",
        value=of("other"),
        at_least=0.0,
      ),
      claims.Condition(
        text="iii: mIoU points, five supports - one",
        value=lambda r: -of("five")(r),
        at_least=-1.0,
      ),
      claims.Condition(
        text="iv: mIoU points, from the base - from random weights",
        value=lambda r: r["tuned"][ONE] - r["random"][ONE],
        at_least=5.0,
      ),
    ),
    metrics=(ONE, "five/miou", "alone/miou", "other/miou", "one/fb_iou"),
  )
