"""Which thing of a picture moves, where to, and how all of them are described.

Fields and arithmetic of procedures on models that are told ellipses. The shift
is given, drawn, or stored with each picture: `dragged`, the number of the thing
that moves, and `drag_to`, its new centre (x, y) in shares of the side.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import ellipses as forms

Array = jax.Array
PLACES = 64  # that are drawn; the first that will do is taken
CHANGED = {"words": "thing_tokens", "caption": "tokens"}  # entries of a batch
DRAGGED, DRAG_TO = "dragged", "drag_to"  # entries of a batch, if `stored`
GAP = 0.02  # between ellipses and each other, in shares of the side, at least


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drag:
  """The shift of one thing."""

  which: int = field.value(0, "number of the thing that moves", low=0)
  by: tuple = field.value(
    (), "shift (x, y) in shares of the side; (): drawn for each example"
  )
  least: float = field.value(
    0.25, "least length of a drawn shift, in shares of the side", low=0.0
  )
  stored: bool = field.value(
    False, "each example has its thing, `dragged`, and new centre, `drag_to`"
  )

  def inputs(self, most: int) -> dict[str, method.Input]:
    """What is stored of a drag: dragged int32 [], drag_to [2] in 0 .. 1.

    Args:
      most: things of a picture at most.
    """
    if not self.stored:
      return {}
    return {
      DRAGGED: method.Input((), jnp.int32, high=most),
      DRAG_TO: method.Input((2,), range=(0.0, 1.0)),
    }

  def check(self, most: int) -> None:
    """Raises ValueError for a thing that is not there, or no shift.

    Args:
      most: things of a picture at most.
    """
    if self.which >= most:
      raise ValueError(f"drag.which={self.which} of {most} things")
    if len(self.by) not in (0, 2):
      raise ValueError(f"drag.by={self.by}: give x and y, or ()")
    if self.stored and (self.by or self.which):
      raise ValueError(
        f"drag.which={self.which}, drag.by={self.by} with drag.stored: each "
        "example says both; leave them 0 and ()"
      )

  def draw(self, keys: randomness.Keys) -> method.Draws:
    """places [n, 2] ~ U[0, 1), where the shift is drawn."""
    if self.by or self.stored:
      return {}
    return {"places": jax.random.uniform(keys("places"), (PLACES, 2))}

  def number(self, batch: method.Batch) -> Array:
    """int32 [b]: the thing that moves."""
    if self.stored:
      return batch[DRAGGED]
    return jnp.full(len(batch["ellipses"]), self.which)

  def shift(self, batch: method.Batch, draws: method.Draws) -> Array:
    """[b, 2] (x, y) in shares of the side.

    A drawn one leaves the thing within the picture, has the least length, and
    keeps the circles around the ellipses apart; where no place that was drawn
    does all of it, the one that lacks least.

    Args:
      batch: ellipses [b, k, 5], and what is stored of the drag.
      draws: of `draw`, with the batch first.
    """
    ellipses = batch["ellipses"]
    b = len(ellipses)
    if self.by:
      return jnp.broadcast_to(jnp.array(self.by, jnp.float32), (b, 2))
    if self.stored:
      own = ellipses[jnp.arange(b), self.number(batch), :2]
      return batch[DRAG_TO] - own
    own = ellipses[:, self.which]
    edge = jnp.minimum(forms.extent(own) + GAP / 2, 0.5)[:, None]
    places = edge + draws["places"] * (1 - 2 * edge)  # [b, n, 2]
    by = places - own[:, None, :2]
    room = jnp.linalg.norm(by, axis=-1) - self.least
    reach = ellipses[..., 2:4].max(-1)
    apart = jnp.linalg.norm(
      places[:, :, None] - ellipses[:, None, :, :2], axis=-1
    )
    free = apart - GAP - reach[:, None] - reach[:, None, self.which, None]
    other = forms.there(ellipses).at[:, self.which].set(False)
    free = jnp.where(other[:, None], free, jnp.inf).min(-1)
    least = jnp.minimum(room, free)
    taken = jnp.where(
      (least >= 0).any(1), (least >= 0).argmax(1), least.argmax(1)
    )
    return jnp.take_along_axis(by, taken[:, None, None], axis=1)[:, 0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
  """Words in the place of the picture's own."""

  words: tuple = field.value(
    (), "tokens of every thing's description and of `caption`; (): own ones"
  )
  caption: tuple = field.value((), "tokens of the caption that goes with words")
  pad: int = field.value(0, "token that fills both up", low=0)

  def check(self, reads: Mapping[str, method.Input]) -> None:
    """Raises ValueError for what the model could not have been told.

    Args:
      reads: what it reads of a batch: tokens [l], thing_tokens [k, l'].
    """
    if self.caption and not self.words:
      raise ValueError(
        f"description.caption {self.caption} without description.words"
      )
    if not self.words:
      return
    for key, entry in CHANGED.items():
      said, spec = getattr(self, key), reads[entry]
      if len(said) > spec.shape[-1]:
        raise ValueError(
          f"description.{key} {said}: {spec.shape[-1]} tokens at most"
        )
      self._check_row(key, self._row(said, spec.shape[-1]), spec)

  def _check_row(self, key, row, spec):
    """Numbers that the model knows, and what stands around a text."""
    named = f"description.{key} {getattr(self, key)}"
    if spec.high is not None and not all(0 <= i < spec.high for i in row):
      raise ValueError(
        f"{named}, description.pad {self.pad}: tokens are 0 to {spec.high - 1}"
      )
    if missing := [i for i in spec.holds if i not in row]:
      raise ValueError(
        f"{named} without {missing[0]}, which stands around every text"
      )
    if spec.closes and row[-1] not in spec.closes:
      raise ValueError(
        f"{named}, description.pad {self.pad}: ends with {row[-1]}, and texts "
        f"with one of {spec.closes}"
      )

  def told(self, batch: method.Batch) -> method.Batch:
    """A batch with these instead of its tokens and thing_tokens."""
    if not self.words:
      return batch
    own = {entry: getattr(self, key) for key, entry in CHANGED.items()}
    return batch | {n: self._filled(batch[n], x) for n, x in own.items()}

  def _filled(self, tokens, by):
    """As many tokens as there are."""
    row = self._row(by, tokens.shape[-1])
    return jnp.broadcast_to(jnp.array(row, tokens.dtype), tokens.shape)

  def _row(self, said, length):
    """So many tokens, filled up."""
    return [*said, *[self.pad] * (length - len(said))]
