"""DiffDis: one UNet makes images of captions and tells captions of images.

Scenes of one thing, captions of four attributes (160; card: 128). Three runs of
2000 steps with the same examples per task: both tasks, and each of them alone;
a text tower and a network of attributes are trained first (shared).

exact  Samples are those of the UNet without its text branch, and what an image
       says is the same whatever its caption: largest difference 0, of trained
       weights.
i.     The right caption of all of them, by cosine from pure noise in one step:
       at least 50 % (chance: 0.6 %), and at least discrimination alone less 1
       point. (The card asks that it be better in two of three seeds.)
       Chance, where each image stands beside the caption of another one, which
       then counts as right: at most 3 %.
ii.    Attributes of 500 samples (DDIM, 50 steps, EMA) as their captions say,
       told by the network of attributes, mean of the four: at least those of
       generation alone less 1 point.

The card's colour of 90 % and the denoising error as score are reported.
"""

import functools

import jax
import numpy as np

import jmim
from jmim import hub
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.data import sources
from jmim.data import texts
from jmim.tools import claims

RECIPE = "configs/diffdis_scenes.py:text={workdir:text}"
ATTRIBUTES = ("label", "kind", "texture", "place")
N, FEW = 500, 16
TOP = "zeroshot/top1"


@functools.cache
def examples(workdir, number: int) -> tuple[hub.Model, list, np.ndarray]:
  """(the model of a run, EMA; test examples; their tokens [n, l])."""
  model = jmim.load(workdir, weights="ema")
  data = model.config["data"]
  test = sources.build(data["name"], "test", data["data_dir"])
  rows = [test[i] for i in range(number)]
  made = texts.of(settings.Data(**data))
  tokens = [made.tokens(row["caption"]) for row in rows]
  return model, rows, np.stack(tokens)


@functools.cache
def told(workdir, judge) -> float:
  """Percent of attributes of samples that are those of their captions."""
  model, rows, tokens = examples(workdir, N)
  spec = settings.Data(**model.config["data"])
  images = augment.denormalise(spec, model("sample", tokens=tokens))
  heads = jmim.load(judge)("logits", np.asarray(images))
  return float(np.mean([shares(heads, rows, name) for name in ATTRIBUTES]))


def shares(heads, rows, name: str) -> float:
  """Percent of rows whose stored class of a name is that of its head."""
  asked = np.array([row[name] for row in rows])
  return 100 * float((heads[name].argmax(-1) == asked).mean())


def generated(results, name: str) -> float:
  """The same of a run of the claim."""
  return told(results[name].workdir, results["attributes"].workdir)


def without_branch(results) -> float:
  """Largest change of samples where the branch's parameters are others."""
  model, _, tokens = examples(results["both"].workdir, FEW)
  sample = jax.jit(model.method.predict()["sample"])
  main = model.weights.params["main"]
  off = main | {"branch": jax.tree.map(lambda x: 0 * x, main["branch"])}
  batch, key = {"tokens": tokens}, jax.random.key(0)
  with_it = sample(model.weights, batch, key)
  other = model.weights.__class__(
    {"main": off}, model.weights.extra, model.weights.consts
  )
  return float(np.abs(with_it - sample(other, batch, key)).max())


def without_caption(results) -> float:
  """Largest change of what images say where captions are exchanged."""
  model, rows, tokens = examples(results["both"].workdir, FEW)
  images = np.stack([row["image"] for row in rows])
  said = lambda ids: model("query", images, tokens=ids)
  return float(np.abs(said(tokens) - said(tokens[::-1])).max())


def get_claim() -> claims.Claim:
  gap = lambda r, other: r["both"][TOP] - r[other][TOP]
  exact = (
    ("exact: samples, with the branch and without it", without_branch),
    ("exact: what images say, with other captions", without_caption),
  )
  return claims.Claim(
    runs={
      "attributes": claims.Run("configs/attributes_scenes.py", shared=True),
      "text": claims.Run("configs/clip_scenes.py", shared=True),
      "both": claims.Run(RECIPE),
      "discrimination": claims.Run(f"{RECIPE},task=discrimination"),
      "generation": claims.Run(f"{RECIPE},task=generation"),
    },
    conditions=(
      *(
        claims.Condition(text=text, value=value, at_most=0.0)
        for text, value in exact
      ),
      claims.Condition(
        text="i: right captions of 160, both tasks, percent",
        value=lambda r: r["both"][TOP],
        at_least=50.0,
      ),
      claims.Condition(
        text="i: points, both tasks - discrimination alone",
        value=lambda r: gap(r, "discrimination"),
        at_least=-1.0,
      ),
      claims.Condition(
        text="i: captions that images stand beside, shuffled, percent",
        value=lambda r: r["both"]["zeroshot/shuffled_top1"],
        at_most=3.0,
      ),
      claims.Condition(
        text="ii: points of attributes of samples, both - generation alone",
        value=lambda r: generated(r, "both") - generated(r, "generation"),
        at_least=-1.0,
      ),
    ),
    metrics=(
      TOP,
      "zeroshot/top5",
      "zeroshot/label_top1",
      "matched/top1",
      "retrieval/map",
      "errors/eps",
    ),
  )
