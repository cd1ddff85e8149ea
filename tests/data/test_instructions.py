import pytest

from jmim.data import instructions


@pytest.mark.parametrize(
  ("font", "color", "text"),
  [
    ("", "", 'Write "five"'),
    ("Courgette", "", 'Write "five" in font: Courgette'),
    ("", "red", 'Write "five" in color: red'),
    ("Courgette", "red", 'Write "five" in font: Courgette and color: red'),
    ("Sono[MONO,wght]", "", 'Write "five" in font: Sono'),
    ("Allura and Mohave", "", 'Write "five" in font: Allura and Mohave'),
  ],
)
def test_an_instruction_says_what_is_known(font, color, text):
  assert instructions.write("five", font, color) == text
  if "and" not in font:  # the released code's says the same
    assert instructions.write("five", font, color, mixture=True) == text


@pytest.mark.parametrize("font", ["Allura and Mohave", "Grand[wght]"])
def test_the_released_code_says_of_a_mixture_the_font_alone(font):
  """So that the word is left to the characters, and the colour is lost."""
  said = f"in font: {font.removesuffix('[wght]')}"
  assert instructions.write("five", font, "red", mixture=True) == said
  assert instructions.every("five", font, "red", mixture=True) == (
    said,
    said,
    'Write "five" in color: red',
    'Write "five"',
  )


def test_of_every_one_font_and_colour_are_left_out_half_of_the_time():
  every = instructions.every("W", "F", "C")
  assert len(set(every)) == 4
  assert [("font: F" in x, "color: C" in x) for x in every] == [
    (True, True),
    (True, False),
    (False, True),
    (False, False),
  ]
