"""A text and an image in one sequence, in three forms (MMAR).

    text, image   p(image | text)      some tokens of the image are masked
    image         p(image)             the same, the text is hidden
    image, text   p(text | image)      the image is seen whole

All are stored alike, text first. What differs are the places of the tokens: one
sees another whose place is not later (`causal.by_place`). Those of a text count
up; an image is a block of one place, so that all of it sees all of it. One
trace thus serves the three. Letters: b batch, l tokens of a text with its
begin, n of an image, t = l + n.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.masks import rates
from jmim.masks import tokens as masking
from jmim.nn import causal


class Places(NamedTuple):
  """Who sees whom.

  Attributes:
    place: [b, t] ints.
    present: [b, t] bool: the others are seen by none.
    position: [b, t] ints, rotary ones.
  """

  place: jax.Array
  present: jax.Array
  position: jax.Array

  def rows(self, at: jax.Array | int, n: int) -> dict[str, jax.Array]:
    """bias [b, 1, n, t] and positions [b, n] of the tokens from `at` on."""
    cut = lambda x: jax.lax.dynamic_slice_in_dim(x, at, n, axis=1)
    bias = causal.by_place(self.place, self.present, cut(self.place))
    return {"bias": bias, "positions": cut(self.position)}


class Forms(NamedTuple):
  """What becomes of each example of a batch.

  Attributes:
    describes: [b] bool: image, text.
    told: [b] bool: text, image; neither: the image alone.
    mask: [b, n] bool, tokens of the image that are hidden.
  """

  describes: jax.Array
  told: jax.Array
  mask: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointSequence:
  """Shares of the forms, and how much of an image is masked."""

  describe: float = field.value(
    0.5,
    "share of examples whose text is learned, the image whole (unverified)",
    low=0.0,
    high=1.0,
  )
  drop: float = field.value(
    0.1,
    "share of the others whose text is hidden (unverified)",
    low=0.0,
    high=1.0,
  )
  rates: str = field.value(
    "uniform",
    "law of the share of an image that is masked (unverified)",
    choices=("uniform", "normal"),
  )
  least_rate: float = field.value(
    0.7, "least share masked: 0.7 stage one, 0 stage two", low=0.0, high=1.0
  )
  most_rate: float = field.value(1.0, "greatest share masked", above=0, high=1)
  image_order: bool = field.value(
    False,
    "rotary positions count the tokens of an image; False: all have that of "
    "its place (unverified)",
  )
  text_weight: float = field.value(
    1.0,
    "weight of the loss of a text beside that of an image (unverified)",
    low=0.0,
  )

  def check(self, key: str = "sequence") -> None:
    """Raises ValueError for a range that is none; key: of this part."""
    if self.least_rate > self.most_rate:
      raise ValueError(
        f"{key}.least_rate {self.least_rate} above {key}.most_rate "
        f"{self.most_rate}"
      )

  def draw(self, keys: randomness.Keys, shape: tuple[int, int]) -> method.Draws:
    """form, text_drop, rate [b], scores [b, n] ~ U[0, 1); shape: (b, n)."""
    names = {"form": shape[:1], "text_drop": shape[:1], "rate": shape[:1]}
    names["scores"] = shape
    return {n: jax.random.uniform(keys(n), size) for n, size in names.items()}

  def forms(self, draws: method.Draws) -> Forms:
    """Of the draws; where an image is learned at least one token is masked."""
    describes = draws["form"] < self.describe
    told = ~describes & (draws["text_drop"] >= self.drop)
    law = {"uniform": rates.uniform, "normal": rates.truncated_normal}
    rate = law[self.rates](draws["rate"], self.least_rate, self.most_rate)
    n = draws["scores"].shape[1]
    count = jnp.maximum(rates.count(rate, n, self.least_rate), 1)
    count = jnp.where(describes, 0, count)
    place = jnp.argsort(jnp.argsort(draws["scores"], axis=1), axis=1)
    return Forms(describes, told, place < count[:, None])

  def places(
    self,
    present: jax.Array,
    n: int,
    describes: jax.Array | bool,
    told: jax.Array | bool,
  ) -> Places:
    """Of examples in these forms.

    Args:
      present: [b, l] bool, tokens of the texts that are no padding.
      n: tokens of an image.
      describes: [b] bool, or of all.
      told: [b] bool, or of all.
    """
    column = lambda x: jnp.broadcast_to(x, len(present))[:, None]
    describes, told = column(describes), column(told)
    words, image = jnp.arange(present.shape[1]), jnp.zeros((1, n), jnp.int32)
    before = jnp.where(told, present.sum(1, keepdims=True), 0)
    order = jnp.arange(n) if self.image_order else image
    after = n if self.image_order else 1
    text = lambda first: words + jnp.where(describes, first, 0)
    side = lambda a, b: jnp.concatenate([a, b], axis=1)
    seen = present & (describes | told)
    return Places(
      place=side(text(1), before + image),
      present=side(seen, jnp.ones((len(present), n), bool)),
      position=side(text(after), before + order),
    )

  def total(
    self, forms: Forms, image: jax.Array, text: jax.Array
  ) -> method.Loss:
    """Mean over the examples of the loss of what is learned of each.

    Args:
      forms: of the examples.
      image: [b] losses of images.
      text: [b] losses of texts.

    Returns:
      the loss; loss_image and loss_text, means of those that have it.
    """
    texts = forms.describes.astype(jnp.float32)
    own = (1 - texts) * image + self.text_weight * texts * text
    return own.mean(), {
      "loss_image": masking.masked_mean(image, 1 - texts),
      "loss_text": masking.masked_mean(text, texts),
    }
