"""The class that a frozen model is told of an image which it changes.

Fields and arithmetic of procedures: the image's own class, a random one, or
always the same.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness

CHOICES = ("own", "random", "label")


def reads(
  told: str, inputs: Mapping[str, method.Input]
) -> dict[str, method.Input]:
  """What is read of the examples: not their class, where another is told."""
  left = () if told == "own" else ("label",)
  return {name: x for name, x in inputs.items() if name not in left}


def check(
  told: str, label: int, classes: int, model: str, own: int = 0
) -> None:
  """Raises ValueError for a class that there is not.

  Args:
    told: one of CHOICES.
    label: the class, of told="label".
    classes: how many there are; 0: none.
    model: whose, for messages: the name of a procedure's model.
    own: how many classes the examples' own are of; 0: as many at most.
  """
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
  """The batch with the class [b] that the model is told."""
  if told == "own":
    return batch
  always = jnp.full(len(batch["index"]), label, jnp.int32)
  return {**batch, "label": draws.get("label", always)}
