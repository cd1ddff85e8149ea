"""DiTi: a code in blocks of time keeps fine attributes before coarse ones.

One thing on 16 px; a DDPM is trained (2000 steps) and frozen, then a code for
what it lacks: in 8 blocks of time, and PDAE's, which is one block (1000 steps
each). Of 64 numbers the first 32 are all that times below 500 may read.

1. By the closed form of the loss of attributes, for renderings that differ in
   one of them: fine ones (texture, tint) are lost, at an error of 1/4, at times
   that are at most 0.75 of those of coarse ones (kind, place, size). Nothing is
   trained.
2. The held-out error of the noise, corrected by the code, is below that of the
   frozen model alone, for both.
3. What the second half of the code adds to probes of coarse attributes, less
   what it adds to those of fine ones (points): above 0 for DiTi, and above
   PDAE's. (Card: more than 10 points, at 32 px and for longer; and how often a
   swap of blocks changes the kind and keeps the colour.)
"""

import dataclasses
import functools

import numpy as np

from jmim.data.procedural import attributes
from jmim.diffusion import confusion
from jmim.diffusion import schedule
from jmim.tools import claims

RECIPE, PAIRS = "configs/diti_shapes.py", 200
COARSE, FINE = attributes.COARSE, attributes.FINE


def changed(look: attributes.Look) -> dict[str, dict[str, float]]:
  """Attribute -> the fields of a look in which it is another."""
  return {
    "label": {"kind": (look.kind + 1) % len(attributes.KINDS)},
    "place": {"x": 1 - look.x},
    "large": {"radius": 0.51 - look.radius},
    "texture": {"texture": (look.texture + 1) % 3},
    "warm": {"tint": -look.tint},
  }


@functools.cache
def times(name: str) -> float:
  """Median time at which an attribute is lost, of 1000."""
  found = []
  for seed in range(PAIRS):
    look = attributes.draw(np.random.default_rng(seed))
    other = dataclasses.replace(look, **changed(look)[name])
    pair = [attributes.render(x, 16) / 127.5 - 1 for x in (look, other)]
    found.append(np.linalg.norm(pair[0] - pair[1]))
  process = schedule.make("linear")
  return float(np.median(confusion.lost(np.asarray(found), process)))


def gain(run: claims.Metrics, names: tuple[str, ...]) -> float:
  """Points that the second half of the code adds, mean over attributes."""
  key = "attributes/{}_accuracy"
  both = [(key.format(n), key.format(n) + "_0to32") for n in names]
  return float(np.mean([run[whole] - run[first] for whole, first in both]))


def order(run: claims.Metrics) -> float:
  """Of coarse attributes above that of fine ones."""
  return gain(run, COARSE) - gain(run, FINE)


def get_claim() -> claims.Claim:
  of = lambda blocks: claims.Run(
    f"{RECIPE}:host={{workdir:host}},blocks={blocks}"
  )
  error = lambda r, name: r[name]["errors/eps"] / r[name]["errors/frozen"]
  return claims.Claim(
    runs={
      "host": claims.Run(f"{RECIPE}:stage=host"),
      "diti": of(8),
      "pdae": of(1),
    },
    conditions=(
      claims.Condition(
        text="1: time at which it is lost, latest fine / earliest coarse",
        value=lambda r: max(map(times, FINE)) / min(map(times, COARSE)),
        at_most=0.75,
      ),
      claims.Condition(
        text="2: error of the noise, DiTi / frozen",
        value=lambda r: error(r, "diti"),
        at_most=1.0,
      ),
      claims.Condition(
        text="2: error of the noise, PDAE / frozen",
        value=lambda r: error(r, "pdae"),
        at_most=1.0,
      ),
      claims.Condition(
        text="3: points of the second half, coarse - fine, DiTi",
        value=lambda r: order(r["diti"]),
        at_least=0.0,
      ),
      claims.Condition(
        text="3: the same, DiTi - PDAE",
        value=lambda r: order(r["diti"]) - order(r["pdae"]),
        at_least=0.0,
      ),
    ),
    metrics=("errors/eps", "errors/frozen"),
  )
