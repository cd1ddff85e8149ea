"""Characters of a word as numbers, in the order of DiffSTE's weights.

Ji et al. 2023 (UCSB-NLP-Chang/DiffSTE@b6421cd, `char_vocab.json`): those of
ASCII that are printed: space, digits, small letters, capitals, then the others.
A space, number 0, also fills up, and stands for what is none of them.
"""

import string
from collections.abc import Iterable

import numpy as np

SYMBOLS = (
  " "
  + string.digits
  + string.ascii_lowercase
  + string.ascii_uppercase
  + string.punctuation
)


def numbers(text: str, length: int = 20) -> np.ndarray:
  """int32 [length] of a text, cut off or filled up with spaces."""
  known = [max(0, SYMBOLS.find(symbol)) for symbol in text[:length]]
  return np.array(known + [0] * (length - len(known)), np.int32)


def text(numbers: Iterable[int]) -> str:
  """The inverse, without the spaces at the end."""
  return "".join(SYMBOLS[int(i)] for i in numbers).rstrip()
