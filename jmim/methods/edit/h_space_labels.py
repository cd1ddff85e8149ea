r"""h-space: directions between examples with an attribute and without it.

Haas et al. 2024 (arXiv 2303.11073), the supervised directions of the paper:

    n   = mean h of the ones - mean h of the others      at every step
    n'  = n - N (N^T N)^-1 N^T n                         N: unwanted directions
    e   = e(x_t | a n')

scores   the ones and the others are the samples of highest and of lowest score
         by a classifier (theirs: 100 each of 10 000)
labels   they are images whose labels are known, inverted: by DDIM, or with
         noise by "edit-friendly" inversion

Theirs can balance the samples by a second attribute, which is not here; of
labelled pairs it takes the mean difference of each pair, which is the same
where every person has both. Their eta enters inversion unsquared, which is
theirs only for 0 and 1. No numbers are published.

    python -m jmim.main --mode=apply --workdir=runs/red \
      --config=configs/h_space_labels_scenes.py:source=BASE,scorer=NET
    python -m jmim.tools.claim h_space
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import attribute_means as means
from jmim.methods.parts import classifier_score
from jmim.methods.parts import inner_walk
from jmim.methods.supervised import attributes


@dataclasses.dataclass(frozen=True, kw_only=True)
class HSpaceLabels(procedure.Procedure):
  """Directions of attributes in a frozen model's bottleneck, and edits."""

  fits = True
  asked = ("alphas",)

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that is looked into"
  )
  scorer: procedure.Needs = field.part(
    procedure.Needs, "classifier of samples, with by=scores"
  )
  walk: inner_walk.Walk = field.part(inner_walk.Walk, "sampler and place")
  by: str = field.value(
    "scores",
    "attributes of samples by a classifier, or of images by their labels",
    choices=("scores", "labels"),
  )
  wanted: tuple[str, ...] = field.value(
    ("label:0-1",), "directions: ENTRY:TO-FROM, or ENTRY:TO from all others"
  )
  unwanted: tuple[str, ...] = field.value(
    (), "directions, in the same form, that the wanted ones are freed of"
  )
  extremes: int = field.value(
    100, "samples of highest and of lowest score each, with by=scores", low=1
  )
  classes: int = field.value(
    10, "bound of the labels that are read, with by=labels", low=2
  )
  alphas: tuple[float, ...] = field.value(
    (-1.0, 1.0), "strengths of each edit, in distances of the means"
  )

  @classmethod
  def tiny(cls) -> "HSpaceLabels":
    """A direction by scores, freed of another."""
    made = cls(unwanted=("kind:1",), extremes=4, alphas=(1.0,))
    return field.replace(made, walk=dict(steps=3))

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """A tiny UNet, and a tiny classifier of the same images."""
    scorer = attributes.Attributes.tiny()
    return {"source": ddpm.DDPM.tiny(), "scorer": scorer}

  @property
  def contrasts(self) -> tuple[means.Contrast, ...]:
    """Those wanted, then those unwanted."""
    return tuple(map(means.read, (*self.wanted, *self.unwanted)))

  def models(self) -> dict[str, procedure.Needs]:
    """A diffusion model and, where it scores, a classifier."""
    scorer = {"scorer": self.scorer} if self.by == "scores" else {}
    return {"source": self.source, **scorer}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """What walks read and, where they tell, the labels."""
    read = self.walk.inputs(models["source"].diffuser)
    if self.by == "scores":
      return read
    known = procedure.Input((), jnp.int32, high=self.classes)
    return {c.entry: known for c in self.contrasts} | read

  def check(self, models) -> None:
    """Raises ValueError for models or directions that do not go together."""
    self.walk.check(models["source"])
    means.check(self.wanted, self.unwanted)
    if self.by == "labels":
      return self._check_labels()
    heads = self._heads(models)
    for c in self.contrasts:
      size = heads[c.entry].shape[-1] if c.entry in heads else 0
      if c.highest >= size:
        raise ValueError(
          f"wanted or unwanted: {c.entry}:{c.highest}, and scorer tells "
          + ", ".join(f"{n}:0 to {x.shape[-1] - 1}" for n, x in heads.items())
        )

  def _check_labels(self):
    if not self.walk.images:
      raise ValueError(
        "by='labels' without walk.images: only images of the data have labels"
      )
    if self.scorer.path:
      raise ValueError("scorer, and by='labels' asks nobody")
    for c in self.contrasts:
      if c.highest >= self.classes:
        raise ValueError(
          f"wanted or unwanted: {c.entry}:{c.highest} of classes={self.classes}"
        )

  def _heads(self, models):
    """Shapes of the scorer's logits; nothing is computed."""
    scorer, side = models["scorer"], models["source"].diffuser.image
    reads = scorer.method.inputs().get("image")
    if reads is not None and reads.shape != side:
      raise ValueError(f"scorer of images {reads.shape}, and source of {side}")
    images = jnp.zeros((1, *side))
    told = lambda w: _scores(dataclasses.replace(scorer, weights=w), images)
    return jax.eval_shape(told, scorer.weights)

  def draw(self, keys, models, example) -> procedure.Draws:
    """Those of the walk."""
    return self.walk.draw(keys, models["source"].diffuser)

  def collect(self, models, batch, draws) -> procedure.Arrays:
    """h [b, steps, *h], and scores [b, directions] or the labels [b]."""
    source = models["source"].diffuser
    opened = self.walk.opened(source, batch)
    h, end = self.walk.seen(opened, batch, draws)
    if self.by == "labels":
      return {"h": h} | {c.entry: batch[c.entry] for c in self.contrasts}
    logits = _scores(models["scorer"], source.decode(end))
    scores = [c.score(logits[c.entry]) for c in self.contrasts]
    return {"h": h, "scores": jnp.stack(scores, 1)}

  def fit(self, rows: procedure.Rows) -> procedure.Arrays:
    """directions [wanted, steps, *h], freed of those that are unwanted."""
    if self.by == "labels":
      found = means.by_labels(rows, self.contrasts)
    else:
      found = means.by_scores(rows, self.extremes)
    freed = means.freed(found, self.wanted, self.unwanted)
    return {"directions": np.float32(freed)}

  def fitted_like(self, rows: procedure.Arrays) -> procedure.Arrays:
    """Shapes of the same."""
    shape = (len(self.wanted), *rows["h"].shape[1:])
    return {"directions": jax.ShapeDtypeStruct(shape, jnp.float32)}

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, 1 + wanted x alphas, h, w, c]: as it is, then by direction."""
    opened = self.walk.opened(models["source"].diffuser, batch)
    begun = self.walk.begin(opened, batch, draws)
    moved = dict(offsets=fitted["directions"], alphas=self.alphas)
    return {"image": self.walk.images_of(opened, begun, **moved)}

  def pictures(self) -> tuple[str, ...]:
    """The images."""
    return ("image",)


def _scores(scorer: procedure.Model, images: jax.Array) -> dict[str, jax.Array]:
  """Logits [b, classes] of images by head."""
  found = scorer.output("logits", {"image": images}, jax.random.key(0))
  return classifier_score.heads(found)
