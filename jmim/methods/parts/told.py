"""What a frozen model is told of an image which it changes.

Fields and arithmetic of procedures: the image's own class, a random one, or
always the same; of a model that is told texts the image's own, or another that
is stored beside it.

    target    `target_tokens` in the place of `tokens` (`data.texts`)
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness

CLASSES = ("own", "random", "label")
CHOICES = (*CLASSES, "target")
TEXT, TARGET = "tokens", "target_tokens"


def reads(
  told: str, inputs: Mapping[str, method.Input]
) -> dict[str, method.Input]:
  """What is read of the examples: not their own, where another is told."""
  if told == "target":
    return {TARGET if n == TEXT else n: x for n, x in inputs.items()}
  left = () if told == "own" else ("label",)
  return {name: x for name, x in inputs.items() if name not in left}


def check(
  told: str,
  label: int,
  classes: int,
  model: str,
  own: int = 0,
  inputs: Mapping[str, method.Input] | None = None,
) -> None:
  """Raises ValueError for a class that there is not, or a text.

  Args:
    told: one of CHOICES.
    label: the class, of told="label".
    classes: how many there are; 0: none.
    model: whose, for messages: the name of a procedure's model.
    own: how many classes the examples' own are of; 0: as many at most.
    inputs: what the model is told by, for told="target".
  """
  if told == "target":
    if TEXT not in (inputs or {}):
      raise ValueError(f"told='target', and {model} is told no {TEXT}")
    return
  if told == "own" and 0 < classes < own:
    raise ValueError(f"told='own': {own} classes, and {model} has {classes}")
  if told != "own" and not classes:
    raise ValueError(f"told={told!r}, and {model} has no classes")
  if told == "label" and label >= classes:
    raise ValueError(f"label={label} of {classes} classes of {model}")


def draw(told: str, classes: int, keys: randomness.Keys) -> method.Draws:
  """label [], where it is random."""
  if told != "random":
    return {}
  return {"label": jax.random.randint(keys("label"), (), 0, classes)}


def shown(
  told: str, label: int, batch: method.Batch, draws: method.Draws
) -> method.Batch:
  """The batch with the class [b], or tokens [b, l], that the model is told."""
  if told == "own":
    return batch
  if told == "target":
    return {**batch, TEXT: batch[TARGET]}
  always = jnp.full(len(batch["index"]), label, jnp.int32)
  return {**batch, "label": draws.get("label", always)}
