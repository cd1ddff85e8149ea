"""DiGIT: codes of features are stabler than codes of patches, and enough.

CIFAR-10: an MAE of 600 steps; 64 codes by k-means of its features (after block
3 of 4, and its norm) and 64 of patches, on a tenth of the images; a language
model of four layers on each, 800 steps. The scattered digits: an MAE of 1000
steps, 64 codes of its features, and a stage two (masked, 2000 steps) that
renders them as codes of patches; a small convolutional classifier judges.

A. Noise of deviation 0.1 (images in 0 .. 1): the share of codes that stay is at
   least 0.15 higher for features.
B. Ridge on the mean token of the middle layer: features above patches. (The
   card expects 5 points; of one seed the order is asked for.)
C. Digits rendered from their own codes: the judge names at least 90 % of what
   it names of the real ones.
"""

from jmim.tools import claims

RECIPE = "configs/digit_cifar10.py"
TABLE = "configs/codebook_cifar10.py"
CODES = ("--codes=64", "--share=0.1")
STAYS = "stability/noise_0.1"
LEAN = ("evals.samples=None",)
ALONE = tuple(
  f"evals.{name}=None"
  for name in ("knn", "fewshot", "linear", "introspect", "recon")
)


def table(arguments: str = "") -> claims.Run:
  """Codes of a recipe's vectors."""
  return claims.Run(
    f"{TABLE}{arguments}", tool="make_codebook", arguments=CODES
  )


def spoken(codes: str, arguments: str = "") -> claims.Run:
  """A stage one on a table."""
  table = f"method.semantic.codebook={{workdir:{codes}}}/made.npz"
  return claims.Run(f"{RECIPE}:steps=800{arguments}", (table,))


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "teacher": claims.Run(
        "configs/mae_cifar10.py:steps=600", ALONE, shared=True
      ),
      "features": table(":features={workdir:teacher}"),
      "patches": table(),
      "of_features": spoken("features", ",teacher={workdir:teacher}"),
      "of_patches": spoken("patches"),
      "seen": claims.Run("configs/mae_digits.py", shared=True),
      "judge": claims.Run("configs/convnet_digits.py", shared=True),
      "seen_features": table(":data=digits,features={workdir:seen}"),
      "seen_patches": table(":data=digits"),
      "rendered": claims.Run(
        f"{RECIPE}:stage=nar,data=digits,steps=2000,teacher={{workdir:seen}}",
        (
          "method.semantic.codebook={workdir:seen_features}/made.npz",
          "method.pixels.path={workdir:seen_patches}/made.npz",
          "evals.judged.classifier={workdir:judge}",
          *LEAN,
        ),
      ),
    },
    conditions=(
      claims.Condition(
        text="A: share of codes that stay at 0.1, features - patches",
        value=lambda r: r["of_features"][STAYS] - r["of_patches"][STAYS],
        at_least=0.15,
      ),
      claims.Condition(
        text="B: probe points of the middle layer, features - patches",
        value=lambda r: (
          r["of_features"]["probe/accuracy"] - r["of_patches"]["probe/accuracy"]
        ),
        at_least=0.0,
      ),
      claims.Condition(
        text="C: recognised, rendered / real",
        value=lambda r: (
          r["rendered"]["judged/recognised"]
          / r["rendered"]["judged/recognised_real"]
        ),
        at_least=0.9,
      ),
    ),
    metrics=(
      STAYS,
      "probe/accuracy",
      "loss",
      "judged/recognised",
      "judged/recognised_real",
    ),
  )
