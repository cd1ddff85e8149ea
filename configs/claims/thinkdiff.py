"""ThinkDiff: image features, projected, tell a model of captions what to draw.

Scenes of one thing. A tiny T5 (2 + 2 blocks), a captioner whose ViT sees, an
LDM told by the T5's frozen encoder (never by an image), and a projector from
the ViT's features into the space of the encoder, learnt from the T5's decoder
alone. 256 test scenes; colour, kind, texture and place of what is drawn are
told by a trained classifier and compared with those of the scene.

Exact. Each projected token is as large as the copied scale says; a decoder told
   the encoder's own vectors gives T5's loss.
1. Told projected features: mean accuracy of the four >= 80 % of that told the
   true captions. Card: >= 60 % of each attribute; reported.
2. Told by a projector that has not learnt: no more than 10 points above chance
   (colour 20, kind 25, texture 50, place 25 %; mean 30).
3. After 200 steps the loss with the scale copied is below that with ones.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method as methods
from jmim.masks import spans
from jmim.methods.parts import heard as hearing
from jmim.methods.text import t5
from jmim.methods.text import thinkdiff
from jmim.tools import claims

HEADS = {"label": 20.0, "kind": 25.0, "texture": 50.0, "place": 25.0}
CHANCE = sum(HEADS.values()) / len(HEADS)
EARLY = 200
PROJECT = "configs/thinkdiff_scenes.py:t5={workdir:t5},captioner={workdir:eye}"
DRAW = (
  "configs/prompted_scenes.py:source={{workdir:told}},projector={{workdir:{}}},"
  "attributes={{workdir:net}},told={}"
)


def accuracy(found: claims.Metrics) -> float:
  """Mean over the heads of what is the same, percent."""
  return float(np.mean([found[f"edits/same_{head}"] for head in HEADS]))


def gap(copied: dict[int, float], own: dict[int, float]) -> float:
  """Loss with the scale copied less that with ones, after EARLY steps."""
  return copied[EARLY] - own[EARLY]


@functools.cache
def scale_error() -> float:
  """Greatest |rms(h / scale) - 1| of projected tokens."""
  m = thinkdiff.ThinkDiff.tiny()
  x = jax.random.normal(jax.random.key(0), (8, *m.inputs()["generated"].shape))
  consts = {n: c.init(jax.random.key(1)) for n, c in m.consts().items()}
  scale = 1 + jax.random.uniform(jax.random.key(2), (m.t5.width,))
  consts["t5"]["encoder"]["norm"]["scale"] = scale
  params, _ = m.init(jax.random.key(3), {})
  h = m.project(methods.Weights(params, {}, consts), x)
  return float(np.abs(np.sqrt(((h / scale) ** 2).mean(-1)) - 1).max())


class Told(thinkdiff.ThinkDiff):
  """Features are the encoder's own: there is nothing to project."""

  def project(self, weights: methods.Weights, x: jax.Array) -> jax.Array:
    """x."""
    del weights
    return x


@functools.cache
def loss_error() -> float:
  """|T5's own loss - that of its decoder told its encoder's vectors|."""
  m = t5.T5.tiny()
  tokens = jnp.array([[3, 4, 5, 6, 1, 0], [7, 8, 2, 3, 4, 5]])
  params, extra = m.init(jax.random.key(0), {"tokens": tokens})
  batch, tree = {"tokens": tokens}, params["main"]
  draws = m.drawn(jax.random.key(1), batch)
  task: spans.Task = m.task(batch, draws)
  told = field.replace(Told.tiny(), t5=m.network)
  heard = hearing.Heard(
    features=m.network.ask(tree, "encode", task.inputs, task.read),
    present=task.read,
    before=None,
    before_present=None,
    labels=task.targets,
    said=task.said,
  )
  decoder = {n: x for n, x in tree.items() if n != "encoder"}
  frozen = methods.Weights({"main": {}}, {}, {"t5": decoder})
  own = m.loss(methods.Weights(params, extra), batch, draws, 0)[0]
  return float(abs(own - told.error(frozen, heard)[0]))


def get_claim() -> claims.Claim:
  fresh = (
    "optim.lr=0.0",
    "train.total_steps=1",
    "schedule.warmup_steps=0",
    "evals=None",
  )
  exact = (
    ("exact: size of projected tokens, greatest error", scale_error, 1e-3),
    ("exact: T5's loss, told its encoder's vectors", loss_error, 1e-5),
  )
  history = lambda run: run.history("loss/loss")
  return claims.Claim(
    runs={
      "t5": claims.Run("configs/t5_scenes.py", shared=True),
      "eye": claims.Run("configs/captioner_scenes.py", shared=True),
      "net": claims.Run("configs/attributes_scenes.py", shared=True),
      "told": claims.Run(
        "configs/t5_ldm_scenes.py:t5={workdir:t5}",
        ("evals.samples=None", "evals.errors=None"),
      ),
      "copied": claims.Run(PROJECT),
      "own": claims.Run(f"{PROJECT},norm=own"),
      "fresh": claims.Run(PROJECT, fresh),
      "image": claims.Run(DRAW.format("copied", "image")),
      "caption": claims.Run(DRAW.format("copied", "text")),
      "untrained": claims.Run(DRAW.format("fresh", "image")),
    },
    conditions=(
      *(
        claims.Condition(text=text, value=lambda r, f=f: f(), at_most=most)
        for text, f, most in exact
      ),
      claims.Condition(
        text="1: mean accuracy, told image features / told captions",
        value=lambda r: accuracy(r["image"]) / accuracy(r["caption"]),
        at_least=0.8,
      ),
      claims.Condition(
        text="2: points above chance, told by an untrained projector",
        value=lambda r: accuracy(r["untrained"]) - CHANCE,
        at_most=10.0,
      ),
      claims.Condition(
        text="3: loss after 200 steps, scale copied - ones",
        value=lambda r: gap(history(r["copied"]), history(r["own"])),
        at_most=0.0,
      ),
    ),
    metrics=(*(f"edits/same_{head}" for head in HEADS), "loss/loss"),
  )
