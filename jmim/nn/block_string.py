"""Convolutional networks written as a string of blocks (Child 2021).

    8x3     three blocks at side 8             8      one block
    8d2     one block, then means of 2 x 2     8u2    each place repeated 2 x 2
    8t4     1 x 1 convolution from the width of side 8 to that of side 4

Layers are separated by commas, and so are widths, "side:channels".
"""

import dataclasses
import re
from collections.abc import Mapping

WIDTH = re.compile(r"([1-9]\d*):([1-9]\d*)")
LAYER = re.compile(r"([1-9]\d*)(?:([xdut])([1-9]\d*))?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
  """One layer of a block string: a block, a repetition or a transition.

  Attributes:
    side: of the map it reads; of a transition, the one whose width it reads.
    down: side of the means that follow a block; 1: none.
    up: repetitions of each place, per axis; 0: it is no repetition.
    to: side whose width a transition makes; 0: it is none.
  """

  side: int
  down: int = 1
  up: int = 0
  to: int = 0


def parse(text: str) -> tuple[Layer, ...]:
  """The layers of a block string, see above.

  Raises:
    ValueError: a word that is none of the five.
  """
  layers: list[Layer] = []
  for word in text.split(","):
    found = LAYER.fullmatch(word.strip())
    if not found:
      raise ValueError(
        f"block {word!r} of {text!r}: a side, as in 8; side and number, as in "
        "8x3; side and factor, as in 8d2 or 8u2; or two sides, as in 8t4"
      )
    side, kind, n = int(found[1]), found[2] or "x", int(found[3] or 1)
    option = {"x": {}, "d": {"down": n}, "u": {"up": n}, "t": {"to": n}}[kind]
    layers += [Layer(side=side, **option)] * (n if kind == "x" else 1)
  return tuple(layers)


def widths(text: str) -> dict[int, int]:
  """Side -> channels of "8:64,4:32".

  Raises:
    ValueError: something else.
  """
  found = [WIDTH.fullmatch(word.strip()) for word in text.split(",")]
  if not all(found):
    raise ValueError(
      f"widths {text!r}: side:channels by commas, as in 8:64,4:32"
    )
  return {int(m[1]): int(m[2]) for m in found}


def walk(layers: tuple[Layer, ...], width: Mapping[int, int], name: str) -> int:
  """The side that layers end at; each must read what the one before it makes.

  Args:
    layers: of a block string.
    width: side -> channels.
    name: of the string, for messages.

  Raises:
    ValueError: a map of another side or width, or one that does not divide.
  """
  side = layers[0].side
  channels = width.get(side)
  for layer in layers:
    for at in (layer.side, layer.to or layer.side):
      if at not in width:
        raise ValueError(f"{name}: side {at} has no width in {name}_widths")
    if not layer.to and layer.side != side:
      raise ValueError(f"{name}: a layer of side {layer.side} at side {side}")
    if not layer.up and channels != width[layer.side]:
      raise ValueError(
        f"{name}: {channels} channels at side {side}, and a layer of "
        f"{width[layer.side]}; a transition, as in 8t4, changes them"
      )
    if side % layer.down:
      raise ValueError(f"{name}: means of {layer.down} at side {side}")
    side = side * max(layer.up, 1) // layer.down
    channels = width[layer.to] if layer.to else channels
  return side
