"""Words and letters as they are stored."""

import dataclasses

import builderkit
import numpy as np
import pytest

from jmim.data import characters
from jmim.data import decode
from jmim.data import pipeline
from jmim.data import sources
from jmim.data.builders import glyphs
from jmim.data.procedural import glyphs as drawing

example = glyphs.Glyphs.example

FEW = {"train": 12, "test": 6}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Both configs with a few examples each, written and read back."""
  path = str(tmp_path_factory.mktemp("glyphs"))
  with builderkit.few(glyphs.Glyphs, **FEW):
    yield lambda name, split: sources.build(f"glyphs/{name}", split, path)


def config(name):
  (found,) = [c for c in glyphs.Glyphs.BUILDER_CONFIGS if c.name == name]
  return dataclasses.replace(found, **FEW)


def test_configs_keep_their_places_which_seed_them():
  names = [c.name for c in glyphs.Glyphs.BUILDER_CONFIGS]
  assert names[:2] == ["words", "single"]


@pytest.mark.parametrize("name", ["words", "single"])
@pytest.mark.parametrize("split", FEW)
def test_what_is_read_is_what_was_made(built, name, split):
  source = built(name, split)
  key = "picture" if name == "words" else "image"
  stored = [source[i] for i in range(len(source))]
  pixels = [decode.decode(x[key], 3).tobytes() for x in stored]
  assert len(set(pixels)) == FEW[split]
  for i in range(FEW[split]):
    made = example(config(name), split, i)
    image = decode.decode(made[key].getvalue(), 3)
    twin = stored[pixels.index(image.tobytes())]
    assert twin.keys() == made.keys()
    for feature, value in made.items():
      found = twin[feature]
      if feature == "instruction":
        assert tuple(x.decode() for x in found) == value
      elif feature == "word":
        assert found.decode() == value
      elif feature != key:
        np.testing.assert_array_equal(found, value, feature)


def test_numbers_say_what_the_picture_shows(built):
  for split in FEW:
    source = built("words", split)
    for i in range(len(source)):
      example = source[i]
      word = example["word"].decode()
      assert word in drawing.words(split)
      assert characters.text(example["characters"]) == word
      assert "".join(drawing.LETTERS[k] for k in example["letters"]) == word
      first, *_, last = (x.decode() for x in example["instruction"])
      colour = [*drawing.COLOURS][example["colour"]]
      style = drawing.STYLES[example["style"]]
      assert first == f'Write "{word}" in font: {style} and color: {colour}'
      assert last == f'Write "{word}"' and example["label"] == example["colour"]
      image = decode.decode(example["picture"], 3)
      shown = (image == drawing.PALETTE[example["colour"]]).all(-1)
      assert shown.any() and not shown[example["mask"] == 0].any()
      for top, left in example["windows"]:
        assert shown[top + 2 : top + 11, left + 2 : left + 9].any()


def test_instructions_are_made_of_the_words_of_the_list(built):
  known = set(glyphs.WORDS)
  assert len(known) == len(glyphs.WORDS)
  assert glyphs.WORDS[:9] == (
    *("Write", "in", "font:", "and", "color:"),
    *("plain", "bold", "slanted", "outlined"),
  )
  for split in FEW:
    for example in built("words", split).__getitems__(range(FEW[split])):
      for text in example["instruction"]:
        said = text.decode().split()
        assert set(said) <= known and len(said) + 2 <= glyphs.LENGTH


def test_a_letter_is_the_window_of_its_word(built):
  for example in built("single", "train").__getitems__(range(12)):
    image = decode.decode(example["image"], 3)
    assert image.shape == (12, 12, 3)
    shown = (image == drawing.PALETTE[example["colour"]]).all(-1)
    letter = drawing.LETTERS[example["label"]]
    own = drawing.strokes(letter, drawing.STYLES[example["style"]])
    np.testing.assert_array_equal(shown[2:11, 3:8], own[:, 2:7])


def test_a_method_reads_pictures_and_masks(built):
  sides = (drawing.HEIGHT, drawing.WIDTH)
  spec = pipeline.Spec(
    batch=2, size=16, threads=0, flip=False, pictures=(("picture", *sides),)
  )
  batch = pipeline.check_example(built("words", "test"), spec, True)
  assert batch["picture"].shape == (1, *sides, 3)
  assert batch["picture"].dtype == np.uint8
  assert batch["mask"].shape == (1, *sides)
  assert batch["characters"].shape == (1, 3)
