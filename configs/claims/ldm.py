"""LDM: in equal time a UNet learns more in latents than in pixels.

Scattered digits, 32 px. A first stage of factor 4 (width 32, 3 channels), then
the same UNet on its 8 x 8 x 3 latents (1200 steps) and on the pixels (400
longer ones), given the digit. 500 samples each (50 DDIM steps, EMA), seen by a
small classifier that is trained first.

A. Frechet distance to the test digits in the classifier's features at least
   25 % lower in latents than in pixels; guidance 1.
B. Of the latent model's samples more are classified as their condition with
   guidance 3 than with guidance 1.

Only the second stage's seconds are compared (card): the first stage serves
many of them. How long a step takes depends on the machine, so the latents must
not have had more time than the pixels (0.24 and 0.38 of it, on two days). All
runs but that on pixels are shared: another claim may have trained them, on
another day.
"""

import functools

import numpy as np

import jmim
from jmim.data import sources
from jmim.evals.lib import judges
from jmim.tools import claims

RECIPE, N = "configs/ldm_digits.py", 500
LEAN = ("evals.samples=None", "evals.errors=None")


@functools.cache
def samples(workdir, guidance: float) -> np.ndarray:
  """uint8 [N, 32, 32, 3], the classes in turn."""
  model = jmim.load(workdir, weights="ema")
  return model.override(f"method.sampling.guidance={guidance}").sample(N)


@functools.cache
def scores(classifier, workdir, guidance: float) -> dict[str, float]:
  """What the classifier says of samples and of the test digits."""
  data = jmim.load(classifier).config["data"]
  test = sources.build(data["name"], "test", data["data_dir"])
  real = [test[i] for i in range(len(test))]
  return judges.scores(
    judges.of_run(str(classifier), "classifier"),
    samples(workdir, guidance),
    np.arange(N) % 10,
    *(np.stack([x[name] for x in real]) for name in ("image", "label")),
  )


def of(results, name: str, key: str, guidance: float = 1.0) -> float:
  """A score of the samples of a run."""
  judge, made = results["classifier"].workdir, results[name].workdir
  return scores(judge, made, guidance)[key]


def seconds(results, name: str) -> float:
  """Of training, without compiling and evaluation, over the batch."""
  total, before = 0.0, 0
  for step, rate in results[name].history("images_per_second").items():
    total, before = total + (step - before) / rate, step
  return total


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "classifier": claims.Run("configs/convnet_digits.py", shared=True),
      "first_stage": claims.Run(
        "configs/autoencoder_kl_digits.py",
        (
          "method.losses.perceptual=small",
          "method.losses.perceptual_path={workdir:classifier}",
        ),
        shared=True,
      ),
      "latents": claims.Run(
        RECIPE,
        ("method.first_stage.path={workdir:first_stage}", *LEAN),
        shared=True,
      ),
      "pixels": claims.Run(f"{RECIPE}:pixels=True,steps=400", LEAN),
    },
    conditions=(
      claims.Condition(
        text="seconds of training, latents / pixels",
        value=lambda r: seconds(r, "latents") / seconds(r, "pixels"),
        at_most=1.1,
      ),
      claims.Condition(
        text="A: Frechet distance, latents / pixels",
        value=lambda r: (
          of(r, "latents", "frechet") / of(r, "pixels", "frechet")
        ),
        at_most=0.75,
      ),
      claims.Condition(
        text="B: points classified as their condition, guidance 3 - guidance 1",
        value=lambda r: (
          of(r, "latents", "recognised", 3.0)
          - of(r, "latents", "recognised", 1.0)
        ),
        at_least=0.0,
      ),
    ),
    metrics=("accuracy/top1", "restoration/psnr", "errors/pixel"),
  )
