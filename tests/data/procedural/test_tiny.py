import itertools

import numpy as np
import pytest

from jmim.data.procedural import scenes
from jmim.data.procedural import tiny


def drawn(n):
  return [tiny.draw(np.random.default_rng(i)) for i in range(n)]


def test_what_is_said_can_be_seen():
  """The middle of each half is of the colour that is named for it."""
  for shapes, ground in drawn(40):
    image = tiny.render(shapes, ground)
    for shape in shapes:
      y, x = (int(c) for c in shape.centre)
      colour = scenes.COLOURS[tiny.COLOURS[shape.colour]]
      np.testing.assert_allclose(image[y, x], colour, atol=1e-3)
    assert image.shape == (16, 16, 3)


def test_of_two_the_first_is_left_and_they_do_not_touch():
  pairs = [shapes for shapes, _ in drawn(200) if len(shapes) == 2]
  assert 70 < len(pairs) < 130
  for left, right in pairs:
    gap = right.centre[1] - left.centre[1]
    assert gap >= left.radius + right.radius


def test_shapes_lie_within_the_picture():
  for shapes, ground in drawn(100):
    image = tiny.render(shapes, ground)
    for shape in shapes:
      for c in shape.centre:
        assert shape.radius <= c <= 16 - shape.radius
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (np.abs(corners - ground).max(1) < 1e-3).any()


def test_captions_are_words_of_the_list():
  texts = {tiny.caption(shapes) for shapes, _ in drawn(2000)}
  ones = [f"{c} {k}" for c, k in itertools.product(tiny.COLOURS, tiny.KINDS)]
  pairs = {f"{a} left of {b}" for a, b in itertools.product(ones, repeat=2)}
  assert texts >= set(ones) and texts <= set(ones) | pairs
  assert len(texts) > 140  # of 156
  for text in texts:
    ids = tiny.tokens(text)
    assert ids.shape == (tiny.LENGTH,)
    assert " ".join(tiny.WORDS[i] for i in ids if i) == text
    assert (np.diff((ids == 0).astype(int)) >= 0).all()  # padding is last


@pytest.mark.parametrize("kind", range(len(tiny.KINDS)))
def test_kinds_differ_in_their_pixels(kind):
  area = {}
  for k in range(len(tiny.KINDS)):
    shape = tiny.Shape(kind=k, colour=0, centre=(8.0, 8.0), radius=4.0)
    area[k] = (tiny.render([shape], 40.0)[..., 0] > 127).sum()
  assert len(set(area.values())) == len(tiny.KINDS)
  assert area[kind] > 15


def test_two_shapes_have_colours_that_are_apart_or_are_not():
  for held, wanted in ((True, {2}), (False, {0, 1, 3})):
    rng = np.random.default_rng(0)
    pairs = [tiny.two(rng, held)[0] for _ in range(200)]
    gaps = {abs(a.colour - b.colour) for a, b in pairs}
    assert gaps == wanted
