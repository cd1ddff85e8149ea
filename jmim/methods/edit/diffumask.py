r"""DiffuMask: images with masks of pixels, from the attention of words.

Wu, Zhao, Shou, Zhou, Shen, ICCV 2023: a text-to-image model that draws "a bird"
looks at the word where it draws the bird. Mean cross-attention over steps,
layers and heads, by side of its maps, is a map of the word; a threshold of its
own makes a mask of it.

    image   a sample of a text, guided
    map     = mean_s mean_r up(A_r[s]) / max          `parts/word_maps.py`
    g, a, b = its threshold and two levels            `adaptive_threshold.py`
    mask    = map > g
    seeds   = 1 where crf(map > a), 0 where not crf(map > b), else 255

Equal to the authors' code (weijiawu/DiffuMask@913d232): `tests/golden` compares
maps of stored attention. Seeds teach `dense.affinity`; with it
`edit.diffumask_masks` makes the final masks, of which `dense.segment` learns.

Reference (VOC 2012 val, mIoU of a Mask2Former that saw no real image, from
memory): R50 57.4, Swin-B 70.6; on real images 77.3 and 84.3.

Following the code: guidance 7, three sides, hand-set tables of classes.
Differs: seeds are 255 where the two levels disagree, as AffinityNet has it (in
their loader 1 - p turns all but the second level's thing into another class);
the field is one of 3 labels, of which one stands for 19. Texts and words come
with the examples: `tokens`, and `marks`, 1 at tokens of the class's words.

    python -m jmim.main --mode=apply --config=configs/diffumask_scenes.py \
      --workdir=runs/words --config.procedure.source.path=runs/text
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.methods.latent import ldm
from jmim.methods.parts import adaptive_threshold
from jmim.methods.parts import dense_crf
from jmim.methods.parts import inner_place
from jmim.methods.parts import word_maps
from jmim.methods.parts import word_tables

IGNORE = 255


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffuMask(procedure.Procedure):
  """Samples of a frozen model, and masks of a word in each."""

  source: procedure.Needs = field.part(
    procedure.Needs, "diffusion model that is told texts"
  )
  sampler: str = field.value("ddim", "sampler", choices=solvers.NAMES)
  steps: int = field.value(50, "sampling steps", low=1)
  eta: float = field.value(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  guidance: float = field.value(
    7.0, "classifier-free guidance; 1: conditional", above=0.0
  )
  clip: float = field.value(0.0, "limit of |x0|; 0: none (latents)", low=0.0)
  sides: tuple[int, ...] = field.value(
    (16, 32, 64), "sides of the attention that a map is the mean of"
  )
  table: str = field.value(
    "voc",
    "sides and thresholds by class: those of the 20 of PASCAL VOC, or plain, "
    "one row for all",
    choices=tuple(word_tables.TABLES),
  )
  crf: dense_crf.Crf = field.part(
    dense_crf.Crf,
    "random field of the seeds",
    certainty=0.7,
    place=60.0,
    colour=10.0,
    weight=9.0,
  )

  @classmethod
  def tiny(cls) -> "DiffuMask":
    """Three steps on 4 x 4 latents, the attention of 2 x 2 places."""
    small = dict(steps=2, place=5.0, near=1.0)
    made = cls(steps=3, guidance=2.0, sides=(2,), table="plain")
    return field.replace(made, crf=small)

  @classmethod
  def stand_ins(cls) -> dict[str, method.Method]:
    """A tiny LDM that is told three tokens."""
    return {"source": ldm.LDM.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """One diffusion model."""
    return {"source": self.source}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """What the model is told, marks [tokens] of a word, perhaps the class.

    Raises:
      ValueError: the model is told no text.
    """
    reads = dict(models["source"].diffuser.reads)
    texts = [reads[name] for name in ("tokens", "context") if name in reads]
    if not texts:
      raise ValueError("source is a model that is told no text")
    marks = procedure.Input(texts[0].shape[:1], jnp.int32, high=2)
    classes = len(word_tables.TABLES[self.table])
    label = {"label": procedure.Input((), jnp.int32, high=classes)}
    return reads | {"marks": marks} | (label if self.table != "plain" else {})

  def check(self, models) -> None:
    """Raises ValueError for a model or numbers that do not go together."""
    source = models["source"].diffuser
    source.require("decode", of="source")
    source.check_guidance(self.guidance, of="source")
    self.solver(source).check(self.sampler)
    try:
      seen = inner_place.shapes(models["source"], word_maps.once)
    except ValueError as e:
      raise ValueError(f"source has no attention to its text: {e}") from e
    asked = word_tables.sides(self.table, self.sides)
    if missing := {r for own in asked for r in own} - set(seen):
      raise ValueError(
        f"sides={self.sides} and table={self.table!r} ask for attention of "
        f"sides {sorted(missing)}, and source has {sorted(seen)}"
      )

  def solver(self, source: model.Diffuser) -> samplers.Table:
    """The sampler from noise to data."""
    return solvers.make(self.sampler, source.levels(self.steps), eta=self.eta)

  def draw(self, keys, models, example) -> procedure.Draws:
    """start [h, w, c], and noise [steps, h, w, c] where the sampler adds it."""
    source = models["source"].diffuser
    return self.solver(source).draw(keys, source.shape)

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """image [b, H, W, 3], word_map, mask, seeds [b, H, W], threshold [b]."""
    del fitted
    source = models["source"].diffuser
    z, maps = word_maps.sampled(
      self.solver(source),
      word_maps.watched(
        source, *source.tell(batch), scale=self.guidance, clip=self.clip
      ),
      draws["start"],
      jax.tree.map(invert.steps_first, draws.get("noise")),  # or None
    )
    image = source.decode(z)
    label = word_tables.label(self.table, batch)
    sides = word_tables.sides(self.table, self.sides)
    shares = word_maps.shares(sides, label)
    m = word_maps.word(maps, batch["marks"], shares, size=image.shape[1:3])
    rows = jnp.asarray(word_tables.rows(self.table))[label]
    found = adaptive_threshold.find(m, rows)
    threshold = found.threshold[:, None, None]
    return {
      "image": image,
      "word_map": m,
      "threshold": found.threshold,
      "mask": (m > threshold).astype(jnp.uint8),
      "seeds": self.seeds(image, m, found),
    }

  def seeds(
    self, image: jax.Array, m: jax.Array, found: adaptive_threshold.Found
  ) -> jax.Array:
    """uint8 [b, H, W]: 1 surely the thing, 0 surely not, 255 unknown."""
    field_of = self.crf.thing(image)

    def above(level):
      q = field_of(m > level[:, None, None])
      return q[..., 1] > q[..., 0]

    known = jnp.where(above(found.thing), 1, IGNORE)
    return jnp.where(above(found.ground), known, 0).astype(jnp.uint8)

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
