"""What tells which of several edits is the best: a frozen model, `scorer`.

class      log p of the class told, by a classifier (`classifier_score`)
direction  directional CLIP, by towers of pictures and texts (`directional`)
"""

import dataclasses
from collections.abc import Callable

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import model
from jmim.methods.parts import classifier_score
from jmim.methods.parts import directional

KINDS = ("class", "direction")
Made = dict[str, jax.Array]  # results, "image" [b, h, w, c] among them
Score = Callable[[Made], jax.Array]  # -> [b]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
  """A kind of score."""

  kind: str = field.value(
    "class",
    "class: the one that is told, by a classifier; direction: pictures change "
    "as texts do, by text.clip",
    choices=KINDS,
  )
  head: str = field.value(
    classifier_score.ONE, "head of a classifier that tells the class"
  )

  @property
  def in_own_units(self) -> bool:
    """Whether the scorer's pictures may be normalised otherwise."""
    return self.kind == "direction"

  def inputs(self, models: procedure.Models) -> dict[str, method.Input]:
    """What it reads of a batch, beside the images."""
    if self.kind == "class":
      return {}
    return directional.inputs(models["scorer"])

  def check(
    self,
    models: procedure.Models,
    source: model.Diffuser,
    target: model.Diffuser,
  ) -> None:
    """Raises ValueError for a scorer that cannot judge what the target makes.

    Args:
      models: by name, "scorer" among them.
      source: model of the pictures before.
      target: model of those after.
    """
    scorer = models["scorer"]
    if self.kind == "direction":
      for told in (source, target):
        directional.check(scorer, told.image, told.reads)
      return
    known = classifier_score.classes(scorer, self.head, target.image)
    if not 0 < target.classes <= known:
      raise ValueError(f"scorer of {known} classes, target of {target.classes}")

  def score(
    self, models: procedure.Models, batch: method.Batch, shown: method.Batch
  ) -> Score:
    """What is thought of results that are made of a batch.

    Args:
      models: by name, "scorer" among them; the pictures of "source" are
        normalised as those that are judged.
      batch: the images before, and for a direction both texts.
      shown: what the target is told, for a class.
    """
    scorer = models["scorer"]
    if self.kind == "class":
      label = shown["label"]
      share = classifier_score.log_share
      return lambda made: share(scorer, self.head, made["image"], label)
    look = lambda images: directional.seen(
      scorer, images, models["source"].units
    )
    before, wanted = look(batch["image"]), directional.asked(scorer, batch)
    return lambda made: directional.score(wanted, before, look(made["image"]))
