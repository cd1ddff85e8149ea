"""What a model that edits text in pictures is told, as a sentence.

Ji et al. 2023 (UCSB-NLP-Chang/DiffSTE@b6421cd, `prepare_style_chars`):

    Write "W" in font: F and color: C

without what is not known. In training font and colour are left out with
probability 1/2 each: of `every` one is drawn.
"""

import re

_AXES = re.compile(r"\[.*?\]")


def write(
  word: str, font: str = "", color: str = "", mixture: bool = False
) -> str:
  """The instruction.

  Args:
    word: to be written.
    font: its name; what stands in brackets, the axes of a variable font's file
      ("Sono[MONO,wght]"), is left out. "": not known.
    color: its name; "": not known.
    mixture: as the released code has it: a font with "and" in it ("Allura and
      Mohave", but also "Grand") is all that is said, without word and colour.
  """
  font = _AXES.sub("", font)
  if mixture and "and" in font:
    return f"in font: {font}"
  told = [f"font: {font}"] * bool(font) + [f"color: {color}"] * bool(color)
  style = f" in {' and '.join(told)}" if told else ""
  return f'Write "{word}"{style}'


def every(
  word: str, font: str, color: str, mixture: bool = False
) -> tuple[str, str, str, str]:
  """All that it can be: with both, without colour, without font, with neither.

  The first is what is asked for in evaluation (`data.texts`). Arguments: those
  of `write`.
  """
  one = lambda f, c: write(word, f, c, mixture)
  return one(font, color), one(font, ""), one("", color), one("", "")
