r"""DiffuMask's final masks: a walk along affinities, a field, a choice.

Wu, Zhao, Shou, Zhou, Shen, ICCV 2023, second part, of images and maps of a word
that `edit.diffumask` made. With A the affinities that `dense.affinity` learned
of its seeds, and k, the walk's mask, as a reference:

    T    = A^beta D^-1
    k    = up(T^(2^t) pool(map)) > ground           parts below 250 pixels go
    M_g  = crf(map > g)                             g = 0.35, 0.36, .. 0.54
    mask = M_g with the greatest |M_g & k| / (|M_g| + |k|)    the first of them
                                                    parts below 1500 go

The size of a part is that of its box, and holes are filled. The measure of
overlap grows with the IoU, so the choice is the same. Equal to their code
(weijiawu/DiffuMask@913d232, infer_aff.py, curve_threshold.py) as far as the
tests follow it; beta is the code's 16, not 8, its flag.

Reference: see `edit.diffumask`.

    python -m jmim.main --mode=apply --workdir=runs/masks \
      --config=configs/diffumask_masks_scenes.py:affinity=runs/affinity
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.methods.dense import affinity as affinities
from jmim.methods.parts import dense_crf
from jmim.nn import affinity as walks
from jmim.nn import components
from jmim.nn import resize

OUTPUT = "affinity"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Masks(procedure.Procedure):
  """Masks of images, of maps that say about where a thing is."""

  affinity: procedure.Needs = field.part(
    procedure.Needs, "model of the affinities of places"
  )
  beta: float = field.value(16.0, "power of the affinities", above=0.0)
  doublings: int = field.value(8, "steps of the walk, as a power of 2", low=0)
  ground: float = field.value(
    0.45, "level that a map is above after the walk, at a thing"
  )
  thresholds: tuple[float, ...] = field.value(
    tuple(round(0.35 + 0.01 * i, 2) for i in range(20)),
    "thresholds of the map of which one is chosen",
  )
  walked_least: int = field.value(
    250, "least box of a part after the walk [pixels]", low=0
  )
  least: int = field.value(
    1500, "least box of a part of a mask [pixels]", low=0
  )
  crf: dense_crf.Crf = field.part(dense_crf.Crf, "random field of the masks")

  @classmethod
  def tiny(cls) -> "Masks":
    """Two thresholds, a walk of two steps."""
    made = cls(doublings=1, thresholds=(0.3, 0.6), walked_least=2, least=3)
    return field.replace(made, crf=dict(steps=2, place=5.0, near=1.0))

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """Tiny affinities."""
    return {"affinity": affinities.Affinity.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """One network."""
    return {"affinity": self.affinity}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Images, and a map of each, as large.

    Raises:
      ValueError: the model has no affinities.
    """
    owner = models["affinity"].method
    if owner is None or OUTPUT not in owner.predict():
      raise ValueError(f"affinity is a model that offers no {OUTPUT!r}")
    image = owner.inputs()["image"]
    return {"image": image, "word_map": procedure.Input(image.shape[:2])}

  def check(self, models) -> None:
    """Raises ValueError where there is nothing to choose from."""
    if not self.thresholds:
      raise ValueError("thresholds=(): give one or more")

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image, word_map; mask, walked [b, h, w]; threshold, overlap [b]."""
    del fitted, draws
    a = models["affinity"].output(OUTPUT, batch, jax.random.key(0))
    walked = self.walked(a, batch["word_map"])
    found = self.chosen(batch["image"], batch["word_map"], walked)
    as_stored = lambda mask: mask.astype(jnp.uint8)
    masks = {"mask": as_stored(found.pop("mask")), "walked": as_stored(walked)}
    kept = {name: batch[name] for name in ("image", "word_map")}
    return kept | masks | found

  def walked(self, a: jax.Array, m: jax.Array) -> jax.Array:
    """bool [b, h, w]: the mask of the walk.

    Args:
      a: affinities [b, n, n] of a square grid of places.
      m: [b, h, w].
    """
    grid = (round(a.shape[1] ** 0.5),) * 2
    pooled = resize.images(m[..., None], grid, "area")[..., 0]
    t = walks.transition(a, self.beta, self.doublings)
    far = walks.walked(pooled, t)[..., None]
    far = resize.images(far, m.shape[1:], "bilinear")[..., 0]
    return components.large(far > self.ground, self.walked_least)

  def chosen(
    self, image: jax.Array, m: jax.Array, walked: jax.Array
  ) -> dict[str, jax.Array]:
    """mask bool [b, h, w] of the best threshold; threshold, overlap [b]."""
    field_of = self.crf.thing(image)
    count = lambda mask: mask.sum((1, 2))

    def better(best, threshold):
      mask = field_of(m > threshold)[..., 1] > 0.5
      overlap = count(mask & walked) / (count(mask) + count(walked) + 1e-10)
      more = overlap > best["overlap"]
      return {
        "mask": jnp.where(more[:, None, None], mask, best["mask"]),
        "threshold": jnp.where(more, threshold, best["threshold"]),
        "overlap": jnp.where(more, overlap, best["overlap"]),
      }, None

    zeros = jnp.zeros(len(m))
    begun = {"mask": walked & False, "threshold": zeros, "overlap": zeros}
    best, _ = jax.lax.scan(better, begun, jnp.asarray(self.thresholds))
    return best | {"mask": components.large(best["mask"], self.least)}

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
