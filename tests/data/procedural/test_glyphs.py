"""Words of three glyphs: pixels, boxes and windows agree."""

import dataclasses

import numpy as np
import pytest

from jmim.data import splits
from jmim.data.procedural import glyphs

GROUND = np.zeros((glyphs.HEIGHT, glyphs.WIDTH, 3), np.float32)


def drawn(n=60):
  rngs = map(np.random.default_rng, range(n))
  words = glyphs.words("train")
  return [glyphs.draw_word(rng, words[i]) for i, rng in enumerate(rngs)]


def test_splits_share_no_word_and_every_letter_stands_everywhere():
  train, test = map(glyphs.words, splits.MADE)
  assert len({*train, *test}) == len(train) + len(test) == 1000
  for words in (train, test):
    for place in range(glyphs.COUNT):
      assert {w[place] for w in words} == set(glyphs.LETTERS)


def test_letters_and_styles_differ_by_more_than_a_pixel():
  looks = {}
  for letter in glyphs.LETTERS:
    for style in glyphs.STYLES:
      looks[letter, style] = glyphs.strokes(letter, style)
  names = list(looks)
  for i, name in enumerate(names):
    for other in names[:i]:
      assert (looks[name] != looks[other]).sum() >= 2, (name, other)


def test_styles_are_made_of_the_plain_letter():
  for letter in glyphs.LETTERS:
    plain = glyphs.strokes(letter, "plain")
    assert not plain[0].any() and not plain[:, :2].any()
    assert plain[1:8, 2:7].sum() == plain.sum()
    bold = glyphs.strokes(letter, "bold")
    assert bold.sum() > plain.sum() and (bold | ~plain).all()
    around = glyphs.strokes(letter, "outlined")
    assert not (around & plain).any()
    slanted = glyphs.strokes(letter, "slanted")
    np.testing.assert_array_equal(slanted[:3, 1:], plain[:3, :-1])
    np.testing.assert_array_equal(slanted[3:6], plain[3:6])
    np.testing.assert_array_equal(slanted[6:, :-1], plain[6:, 1:])


def test_all_of_a_word_lies_in_its_box_whose_corner_is_even():
  for word in drawn():
    mask = glyphs.mask(word)
    assert mask.any() and not (mask & (word.box == 0)).any()
    assert word.box.sum() == np.prod(glyphs.BOX)
    assert word.y % 2 == word.x % 2 == 0
    image = glyphs.render(word, GROUND)
    assert (image[~mask] == 0).all()
    assert (image[mask] == glyphs.PALETTE[word.colour]).all()


def test_a_letter_looks_the_same_in_its_window_wherever_it_stands():
  for word in drawn(20):
    mask = glyphs.mask(word)
    for (top, left), letter in zip(word.windows, word.text, strict=True):
      side = glyphs.WINDOW
      assert top + side <= glyphs.HEIGHT and left + side <= glyphs.WIDTH
      seen = mask[top : top + side, left : left + side]
      own = glyphs.strokes(letter, glyphs.STYLES[word.style])
      # Around the letter there may be its neighbours.
      np.testing.assert_array_equal(seen[2:11, 3:8], own[:, 2:7])


def test_letters_are_named_by_their_place():
  word = dataclasses.replace(drawn(1)[0], text="0AX")
  assert [glyphs.LETTERS[i] for i in word.letters] == list("0AX")


def test_every_place_style_and_colour_is_drawn():
  words = drawn(300)
  count = lambda name: len({getattr(w, name) for w in words})
  assert [count(n) for n in ("style", "colour", "y", "x")] == [4, 8, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_grounds_are_textured_and_darker_than_letters(seed):
  ground = glyphs.draw_ground(np.random.default_rng(seed))
  assert ground.shape == GROUND.shape and ground.std(axis=(0, 1)).min() > 3
  assert np.quantile(ground, 0.99) < 128
