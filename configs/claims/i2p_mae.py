"""I2P-MAE: what a teacher of depth images does for an encoder of clouds.

`shapes/solids`, 2000 clouds of 256 points to train and 500 to test; teacher: a
ViT 96x3 on depth images of 56 px, 600 steps; encoders of 64, 32 and 16 groups,
widths 24, 48 and 96, 300 steps of 32, one seed. The probe is a linear SVM.

(i)   Accuracy at least 5 points above the untrained encoder.
(ii)  With the 2-D loss at least as good as without (masks are the same).
(iii) Mean saliency of visible groups at least 20 % above that of random ones.
"""

from jmim.tools import claims

RECIPE = "configs/i2p_mae_shapes.py"
TEACHER = "method.guide.teacher.path={workdir:teacher}"
PROBE, UNTRAINED = "probe/accuracy", "probe/untrained_accuracy"
GUIDED, RANDOM = "saliency/guided", "saliency/random"


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "teacher": claims.Run("configs/rendered_shapes.py", shared=True),
      "both": claims.Run(RECIPE, (TEACHER,)),
      "3d": claims.Run(f"{RECIPE}:weight_2d=0.0", (TEACHER,)),
    },
    conditions=(
      claims.Condition(
        text="i: SVM points, trained - untrained",
        value=lambda r: r["both"][PROBE] - r["both"][UNTRAINED],
        at_least=5.0,
      ),
      claims.Condition(
        text="ii: SVM points, both losses - 3-D only",
        value=lambda r: r["both"][PROBE] - r["3d"][PROBE],
        at_least=0.0,
      ),
      claims.Condition(
        text="iii: saliency of visible groups, guided / random",
        value=lambda r: r["both"][GUIDED] / r["both"][RANDOM],
        at_least=1.2,
      ),
    ),
    metrics=(PROBE, UNTRAINED, GUIDED, RANDOM),
  )
