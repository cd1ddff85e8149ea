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
not have had more time than the pixels (0.24 and 0.38 of it, on two days).
"""

import functools

import numpy as np

import jmim
from jmim.data import sources
from jmim.metrics import generation
from jmim.tools import claims

RECIPE, N = "configs/ldm_digits.py", 500
LEAN = ("evals.samples=None", "evals.errors=None")


@functools.cache
def classifier(workdir):
  return jmim.load(workdir)


@functools.cache
def samples(workdir, guidance: float) -> np.ndarray:
  """uint8 [N, 32, 32, 3], the classes in turn."""
  model = jmim.load(workdir, weights="ema")
  return model.override(f"method.sampling.guidance={guidance}").sample(N)


def distance(results, name: str) -> float:
  """Frechet distance of a run's samples to the test split."""
  net = classifier(results["classifier"].workdir)
  data = net.config["data"]
  test = sources.build(data["name"], "test", data["data_dir"])
  real = net("features", [test[i]["image"] for i in range(len(test))])
  made = net("features", samples(results[name].workdir, 1.0))
  a, b = generation.of(real), generation.of(made)
  return generation.frechet(a.mean, a.covariance, b.mean, b.covariance)


def accuracy(results, guidance: float) -> float:
  """Percent of the latent model's samples classified as its condition."""
  net = classifier(results["classifier"].workdir)
  logits = net("logits", samples(results["latents"].workdir, guidance))
  return 100 * float((logits.argmax(1) == np.arange(N) % 10).mean())


def seconds(results, name: str) -> float:
  """Of training, without compiling and evaluation, over the batch."""
  total, before = 0.0, 0
  for step, rate in results[name].history("images_per_second").items():
    total, before = total + (step - before) / rate, step
  return total


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "classifier": claims.Run("configs/convnet_digits.py"),
      "first_stage": claims.Run(
        "configs/autoencoder_kl_digits.py",
        (
          "method.losses.perceptual=small",
          "method.losses.perceptual_path={workdir:classifier}",
        ),
      ),
      "latents": claims.Run(
        RECIPE, ("method.first_stage.path={workdir:first_stage}", *LEAN)
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
        value=lambda r: distance(r, "latents") / distance(r, "pixels"),
        at_most=0.75,
      ),
      claims.Condition(
        text="B: points classified as their condition, guidance 3 - guidance 1",
        value=lambda r: accuracy(r, 3.0) - accuracy(r, 1.0),
        at_least=0.0,
      ),
    ),
    metrics=("accuracy/top1", "restoration/psnr", "errors/pixel"),
  )
