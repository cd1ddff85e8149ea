"""VQ-Diffusion: a little replacement, truncation, the bound, fewer calls.

The plain digits as 16 codes of 2 x 2 pixels (a codebook of 16, trained first),
by class; T = 20, 1200 steps of 64. Runs differ in the share of codes masked at
the last time, the rest is replaced: 0 (replace only), 0.9, 0.99999 (mask only).
1000 samples each (EMA), seen by a linear classifier of the training pixels.

1. Percent recognised as asked: with 0.9 at least that of mask only less 1, and
   above that of replace only.
2. Of the run with 0.9: truncation 0.86 raises it by at least 3 points, and the
   entropy of the codes falls.
3. Its bound on the test digits: at most 0.6 log 16 nats per code.
4. Every fourth time, 6 calls for 20, costs at most 5 points.
"""

import functools

import numpy as np

import jmim
from jmim.data import sources
from jmim.evals.lib import judges
from jmim.metrics import tokens as metrics
from jmim.tools import claims

N, CODES, LENGTH = 1000, 16, 16
RECIPE = "configs/vq_diffusion_digits.py"
LEAN = tuple(f"evals.{n}=None" for n in ("samples", "judged", "recon"))
CODEBOOK = claims.Run(
  "configs/codebook_cifar10.py:codes=16",
  (
    "data.name=digits/plain",
    "data.size=8",
    "data.channels=1",
    "data.flip=False",
    "data.mean=(0.5,)",
    "data.std=(0.5,)",
    "method.size=8",
    "method.channels=1",
    "method.patch=2",
  ),
)
ALL, SURE, FEW = (), ("truncation=0.86",), ("stride=4",)


def arm(masked: float) -> claims.Run:
  """A run with that share masked."""
  book = "codebook={workdir:codebook}"
  return claims.Run(
    f"{RECIPE}:masked={masked},steps=1200,{book}", (*LEAN, "data.batch=64")
  )


@functools.cache
def model(workdir, how):
  keys = [f"method.sampling.{key}" for key in how]
  return jmim.load(workdir, weights="ema").override(*keys)


@functools.cache
def digits(split: str, workdir):
  """(images, labels) of the digits that a run read."""
  data = jmim.load(workdir).config["data"]
  read = sources.build(data["name"], split, data["data_dir"])
  rows = [read[i] for i in range(len(read))]
  return tuple(np.stack([x[name] for x in rows]) for name in ("image", "label"))


@functools.cache
def recognised(workdir, how) -> float:
  """Percent of the samples seen as their class, the classes in turn."""
  judge = judges.linear(*digits("train", workdir), penalty=10.0, key="--runs")
  made, asked = model(workdir, how).sample(N), np.arange(N) % 10
  real = digits("test", workdir)
  return judges.scores(judge, made, asked, *real)["recognised"]


def of(results, name: str, how=ALL) -> float:
  return recognised(results[name].workdir, how)


@functools.cache
def entropy(workdir, how) -> float:
  """Of the codes, in nats."""
  asked = dict(index=np.arange(N), label=np.arange(N) % 10)
  made = model(workdir, how)("generate", **asked)["tokens"]
  return metrics.entropy(metrics.unigrams(np.asarray(made), CODES))


def get_claim() -> claims.Claim:
  mixed = lambda r: r["mixed"].workdir
  return claims.Claim(
    runs={
      "codebook": CODEBOOK,
      "mixed": arm(0.9),
      "masked": arm(0.99999),
      "replaced": arm(0.0),
    },
    conditions=(
      claims.Condition(
        text="1: percent recognised, a tenth replaced - mask only",
        value=lambda r: of(r, "mixed") - of(r, "masked"),
        at_least=-1.0,
      ),
      claims.Condition(
        text="1: percent recognised, a tenth replaced - replace only",
        value=lambda r: of(r, "mixed") - of(r, "replaced"),
        at_least=0.0,
      ),
      claims.Condition(
        text="2: percent recognised, truncation 0.86 - none",
        value=lambda r: of(r, "mixed", SURE) - of(r, "mixed"),
        at_least=3.0,
      ),
      claims.Condition(
        text="2: entropy of the codes, no truncation - 0.86 [nats]",
        value=lambda r: entropy(mixed(r), ALL) - entropy(mixed(r), SURE),
        at_least=0.0,
      ),
      claims.Condition(
        text="3: bound on test digits, share of log 16 per code",
        value=lambda r: r["mixed"]["bound/nats"] / LENGTH / np.log(CODES),
        at_most=0.6,
      ),
      claims.Condition(
        text="4: percent recognised, 20 calls - 6 calls",
        value=lambda r: of(r, "mixed") - of(r, "mixed", FEW),
        at_most=5.0,
      ),
    ),
    metrics=("loss/loss", "bound/nats"),
  )
