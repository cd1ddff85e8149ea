"""OriPID: a linear map learnt on one model's edits finds origins of another's.

Scattered digits, 32 px; first stage and LDM of the claim `ldm` (a UNet in 8 x 8
x 3 latents), and a DiT in the same latents. Queries are edits at strength 0.5
towards random digits, guidance 2. The map, 192 to 64, sees 20 edits by the LDM
of each of 500 origins; 100 other origins are asked for, in a gallery of 5000,
by their edits of the LDM (seen) and of the DiT (unseen). (Card: CIFAR-10, 500
origins asked for.) mAP in percent, of the EMA.

i.   On the unseen model the map is above raw latents by at least 10 points,
ii.  and above a small convolutional network on pixels, trained with the same
     loss on the same edits, by at least 5;
iii. it loses less from the seen model to the unseen one than that network.
iv.  The map in closed form (`metrics.origins`), of the residuals of the seen
     model, is above raw latents on the unseen one, too.
"""

import functools

import numpy as np

import jmim
from jmim import hub
from jmim.data import sources
from jmim.metrics import origins
from jmim.metrics import retrieval
from jmim.tools import claims

RECIPE, LESS = "configs/oripid_digits.py", ("evals.samples=None",)
EDITS = "configs/oripid_edits_digits.py"
AE = "autoencoder={workdir:first_stage}"
FOLDER = "{workdir:dit}"  # of the data sets
CHUNK = 500


def latents(net: hub.Model, source: sources.Source) -> np.ndarray:
  """[n, d] of the images of a data set."""
  rows = []
  for start in range(0, len(source), CHUNK):
    part = range(start, min(start + CHUNK, len(source)))
    rows.append(net("latents", [source[i]["image"] for i in part]))
  return np.concatenate(rows)


def origins_of(source: sources.Source) -> np.ndarray:
  """[n] numbers of the origins of edits."""
  return np.array([int(source[i]["origin"]) for i in range(len(source))])


@functools.cache
def oracle(workdir) -> float:
  """mAP on the unseen model of the map in closed form."""
  net = jmim.load(workdir)
  evals, data = net.config["evals"], net.config["data"]
  asked = evals["unseen"]
  opened = lambda name, split: sources.build(name, split, data["data_dir"])
  edits = opened(data["name"], "train")
  whole = opened(asked["gallery"], "train[:500]")
  begun, moved = latents(net, whole), latents(net, edits)
  kernel = origins.closed_form(
    begun, moved - begun[origins_of(edits)], net.method.features
  )
  queries = opened(asked["queries"], "test")
  gallery = opened(asked["gallery"], asked["gallery_split"])
  above = retrieval.wrong_above(
    latents(net, queries) @ kernel,
    latents(net, gallery) @ kernel,
    origins_of(queries),
    np.arange(len(gallery)),
  )
  return 100 * float(retrieval.average_precision(above).mean())


def gap(run: claims.Metrics) -> float:
  """Points lost from the seen model to the unseen one."""
  return run["seen/map"] - run["unseen/map"]


def get_claim() -> claims.Claim:
  folder = f"data.data_dir={FOLDER}"
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
        "configs/ldm_digits.py",
        (
          "method.first_stage.path={workdir:first_stage}",
          *LESS,
          "evals.errors=None",
        ),
        shared=True,
      ),
      "dit": claims.Run(f"configs/dit_latents_digits.py:{AE}", LESS),
      "edits_a": claims.Run(
        f"{EDITS}:source={{workdir:latents}},store=oripid_a", (folder,)
      ),
      "edits_b": claims.Run(
        f"{EDITS}:source={{workdir:dit}},store=oripid_b,queries=True",
        (folder,),
      ),
      "map": claims.Run(f"{RECIPE}:{AE},folder={FOLDER}"),
      "network": claims.Run(f"{RECIPE}:convolutions=16,folder={FOLDER}"),
    },
    conditions=(
      claims.Condition(
        text="i: points of mAP on the unseen model, map - raw latents",
        value=lambda r: r["map"]["unseen/map"] - r["map"]["raw_unseen/map"],
        at_least=10.0,
      ),
      claims.Condition(
        text="ii: the same, map - network on pixels",
        value=lambda r: r["map"]["unseen/map"] - r["network"]["unseen/map"],
        at_least=5.0,
      ),
      claims.Condition(
        text="iii: points lost from seen to unseen, network - map",
        value=lambda r: gap(r["network"]) - gap(r["map"]),
        at_least=0.0,
      ),
      claims.Condition(
        text="iv: points on the unseen model, closed form - raw latents",
        value=lambda r: oracle(r["map"].workdir) - r["map"]["raw_unseen/map"],
        at_least=0.0,
      ),
    ),
    metrics=(
      "seen/map",
      "unseen/map",
      "raw_seen/map",
      "raw_unseen/map",
      "change/psnr",
    ),
  )
