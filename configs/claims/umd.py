"""UMD does both jobs: it fills in like MAE and denoises nearly like DiT.

Plain 8 x 8 digits, four settings of one network, 1500 steps each. Held-out
error of hidden pixels at time 0 (75 % hidden) and of the noise (nothing hidden,
uniform times). The authors' code: UMD 0.162 / 0.180, DiT 0.557 / 0.154, MaskDiT
0.197 / 0.170, MAE 0.155 / 1.007. Thresholds are those of the paper's card.
"""

from jmim.tools import claims

RECIPE = "configs/umd_digits.py"
# Only what the claim measures.
LEAN = ("evals.probe=None", "evals.recon=None", "evals.samples=None")


def settings(clean_share: float, noised_mask: float) -> claims.Run:
  shares = (
    f"method.clean_share={clean_share}",
    f"method.noised_mask={noised_mask}",
  )
  return claims.Run(RECIPE, (*shares, *LEAN))


def ratio(metric: str, base: str):
  return lambda r: r["umd"][metric] / r[base][metric]


def get_claim() -> claims.Claim:
  masked, eps = "errors/masked", "errors/eps"
  return claims.Claim(
    runs={
      "umd": settings(0.5, 0.375),
      "dit": settings(0.0, 0.0),
      "maskdit": settings(0.0, 0.5),
      "mae": settings(1.0, 0.375),
    },
    conditions=(
      claims.Condition(
        text="masked error, UMD / MAE", value=ratio(masked, "mae"), at_most=1.15
      ),
      claims.Condition(
        text="masked error, UMD / DiT", value=ratio(masked, "dit"), at_most=0.45
      ),
      claims.Condition(
        text="noise error, UMD / DiT", value=ratio(eps, "dit"), at_most=1.35
      ),
      claims.Condition(
        text="noise error, UMD / MAE", value=ratio(eps, "mae"), at_most=0.3
      ),
    ),
    metrics=(masked, eps),
  )
