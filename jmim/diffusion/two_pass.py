"""Which frames of a long clip are made together, and which of them are given.

Interpolated auto-regression (VITON-DiT: Zheng et al. 2024), in our form. First
key frames, a stride apart, and the last one; they are made in chunks, of which
each but the first begins with the last frame of the one before it. Then what is
between two neighbouring key frames, both given. So an error is handed on from
chunk to chunk of key frames only. A clip that is no longer than a chunk is one.
"""

import dataclasses
import itertools


@dataclasses.dataclass(frozen=True)
class Piece:
  """Frames that are made in one go.

  Attributes:
    frames: numbers of them, rising.
    given: of each, whether it is there already.
  """

  frames: tuple[int, ...]
  given: tuple[bool, ...]


def plan(
  length: int, most: int, stride: int
) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
  """(chunks of key frames, in order; what is between them, in any).

  Args:
    length: frames of the clip.
    most: frames of a piece.
    stride: between key frames; 1: all are, one chunk after the other.

  Raises:
    ValueError: nothing between them fits into a piece.
  """
  if length <= most:
    return (Piece(tuple(range(length)), (False,) * length),), ()
  if not 1 <= stride < most or most < 2:
    raise ValueError(
      f"stride {stride}: at least 1, and less than the {most} frames of a piece"
    )
  keys = [*range(0, length - 1, stride), length - 1]
  chunks = [
    Piece(
      part := tuple(keys[i : i + most]), (i > 0, *[False] * (len(part) - 1))
    )
    for i in range(0, len(keys) - 1, most - 1)
  ]
  between = [
    Piece(tuple(range(a, b + 1)), (True, *[False] * (b - a - 1), True))
    for a, b in itertools.pairwise(keys)
    if b - a > 1
  ]
  return tuple(chunks), tuple(between)
