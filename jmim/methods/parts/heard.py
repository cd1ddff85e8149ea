"""What a decoder of texts is told, and what it is to say of it (ThinkDiff).

    generated_tokens   told  features of the first p tokens that a
                             vision-language model has generated
                       says  the text of the others
    seen_image         told  features of an image, then a text up to a place
                       says  the rest of the text

Letters: b batch, n places of features, c their width, l tokens of a text.
"""

import dataclasses
from typing import NamedTuple

import jax

from jmim.core import field
from jmim.core import randomness
from jmim.masks import spans


class Heard(NamedTuple):
  """One example of a batch each.

  Attributes:
    features: [b, n, c].
    present: [b, n] bool, where there is one.
    before: [b, l] int32, tokens of a text that follows; None: none does.
    before_present: [b, l] bool.
    labels: [b, l] int32 to be said.
    said: [b, l] bool, where there is something to be said.
  """

  features: jax.Array
  present: jax.Array
  before: jax.Array | None
  before_present: jax.Array | None
  labels: jax.Array
  said: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
  """Texts as the decoder's tokens."""

  length: int = field.value(
    128, "tokens of a text at most, with its end", low=2
  )
  pad: int = field.value(
    0, "token that fills up, and starts the decoder", low=0
  )
  end: int = field.value(1, "token after a text", low=0)

  @property
  def special(self) -> spans.Special:
    """Tokens that are no words."""
    return spans.Special(pad=self.pad, end=self.end)


def draw(keys: randomness.Keys, count: int) -> dict[str, jax.Array]:
  """place [count] ~ U[0, 1): where a text is cut."""
  return {"place": jax.random.uniform(keys("place"), (count,))}
