r"""A small encoder-decoder that says of each pixel what it shows.

The segmenter that learns of DiffuMask's pairs of images and masks (Wu, Zhao,
Shou, Zhou, Shen, ICCV 2023), in the place of Mask2Former, whose own recipe the
authors take: Mask2Former is not here. A U-Net (Ronneberger et al. 2015) and

    loss = mean over known pixels of -log softmax(net(x'))_y'

of pictures x' and maps y' that are warped, occluded or spliced of others
(`parts/pasted.py`). Pixels of the label `ignore`, and of any other that is no
class, are not known.

Reference: none of this network; of Mask2Former see `edit.diffumask`.

With `by_class` a map holds a mask, and its pixels are of the example's class,
1 + label. The noise filter trains it on all folds but one
(`jmim.tools.filter_pairs`).

    python -m jmim.main --config=configs/segment_scenes.py --workdir=W
    python -m jmim.tools.claim diffumask
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import pasted as pasting
from jmim.nn.nets import encoder_decoder

Array = jax.Array
UNKNOWN = 255  # label of such pixels for evaluators


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment(method.Method):
  """Classes of pixels."""

  per_example = False  # known pixels are counted over the batch

  size: int = field.value(32, "side of the images [pixels]", low=1)
  classes: int = field.value(2, "labels of pixels, the ground's too", low=2)
  read: str = field.value("mask", "entry of a batch that holds the maps")
  by_class: bool = field.value(
    False, "pixels of a map that are not 0 are of the example's class"
  )
  ignore: int = field.value(
    255, "label of pixels that do not count, the greatest", low=2
  )
  net: encoder_decoder.Dims = field.part(
    encoder_decoder.Dims, "encoder and decoder"
  )
  pasted: pasting.Pasted = field.part(
    pasting.Pasted, "pictures made of several"
  )

  @classmethod
  def tiny(cls) -> "Segment":
    """Two levels of width 8 on 8-pixel images; everything is pasted."""
    made = cls(size=8, classes=3, ignore=3, by_class=True)
    dims = dict(width=8, multipliers=(1, 2), norm_groups=4)
    return field.replace(
      made, net=dims, pasted=dict(warp=0.5, occlude=0.5, splice=0.5)
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images, maps as large, and the class of each.

    Raises:
      ValueError: fields that do not go together.
    """
    self.net.check(self.size)
    self.pasted.check()
    if self.ignore < self.classes:
      raise ValueError(f"ignore={self.ignore} is one of {self.classes} classes")
    sides = (self.size, self.size)
    maps = method.Input(sides, jnp.int32, high=self.ignore + 1)
    label = method.Input((), jnp.int32, high=self.classes - 1)
    found = {"image": method.Input((*sides, 3)), self.read: maps}
    return found | ({"label": label} if self.by_class else {})

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the network; no extra state."""
    net = self.net.net(self.classes, self.rt)
    return {"main": net.init(key, batch["image"][:1])["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of what is pasted."""
    del step
    return self.pasted.draw(keys, method.batch_size(batch))

  def truth(self, batch: method.Batch) -> Array:
    """int32 [b, h, w] labels of a batch's pixels."""
    maps = batch[self.read].astype(jnp.int32)
    if not self.by_class:
      return maps
    thing = jnp.where(maps > 0, 1 + batch["label"][:, None, None], 0)
    return jnp.where(maps == self.ignore, maps, thing)

  def logits(self, params: method.Tree, images: Array) -> Array:
    """[b, h, w, classes] float32."""
    net = self.net.net(self.classes, self.rt)
    return net.apply({"params": params["main"]}, images)[0]

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Cross entropy of known pixels; aux: share of them that is right."""
    del step, player
    images, truth = self.pasted.apply(
      batch["image"], self.truth(batch), draws, ignore=self.ignore
    )
    scores = self.logits(weights.params, images)
    known = truth < self.classes
    cost = optax.softmax_cross_entropy_with_integer_labels(
      scores, jnp.where(known, truth, 0)
    )
    mean = lambda x: (known * x).sum() / jnp.maximum(known.sum(), 1)
    return mean(cost), {"accuracy": mean(scores.argmax(-1) == truth)}

  def predict(self) -> dict[str, method.Predict]:
    """segment: image, guess and, where a batch has maps, truth."""
    return {"segment": self.segment}

  def segment(self, weights, batch, key) -> dict[str, Array]:
    """image [b, h, w, 3]; guess, truth int32 [b, h, w], 255: not known."""
    del key
    guess = self.logits(weights.params, batch["image"]).argmax(-1)
    found = {"image": batch["image"], "guess": guess.astype(jnp.int32)}
    if self.read in batch:
      truth = self.truth(batch)
      found["truth"] = jnp.where(truth < self.classes, truth, UNKNOWN)
    return found
