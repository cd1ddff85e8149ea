"""One thing and its attributes: which are coarse, which fine, all exact."""

import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import attributes


def draws(n, seed=0):
  rng = np.random.default_rng(seed)
  return [attributes.draw(rng) for _ in range(n)]


def classes(name):
  return len(attributes.CLASSES[name])


def other(look, name):
  """The looks that differ from one in one attribute."""
  small, large = 0.21, 0.3
  changes = {
    "label": [{"kind": k} for k in range(4) if k != look.kind],
    "place": [{"y": 1 - look.y}, {"x": 1 - look.x}],
    "large": [{"radius": small if look.radius > 0.26 else large}],
    "texture": [{"texture": k} for k in range(3) if k != look.texture],
    "warm": [{"tint": -look.tint}],
  }
  return [dataclasses.replace(look, **change) for change in changes[name]]


def test_attributes_are_independent_and_equally_likely():
  values = [look.values for look in draws(3000)]
  names = (*attributes.COARSE, *attributes.FINE)
  for name in names:
    counts = np.bincount([v[name] for v in values], minlength=classes(name))
    expected = len(values) / classes(name)
    # Chi square of each against chance, and of pairs below.
    assert ((counts - expected) ** 2 / expected).sum() < 16
    for second in names[: names.index(name)]:
      table = np.zeros((classes(name), classes(second)))
      for v in values:
        table[v[name], v[second]] += 1
      expected = len(values) / table.size
      assert ((table - expected) ** 2 / expected).sum() < 35


@pytest.mark.parametrize("size", [16, 32])
def test_fine_attributes_move_a_picture_less_than_coarse_ones(size):
  """What a picture differs by if one attribute alone does, root of squares."""
  gaps = {}
  for name in (*attributes.COARSE, *attributes.FINE):
    gaps[name] = [
      np.linalg.norm(
        attributes.render(look, size) - attributes.render(changed, size)
      )
      for look in draws(20)
      for changed in other(look, name)
    ]
  means = {name: np.mean(gap) for name, gap in gaps.items()}
  coarse = min(means[name] for name in attributes.COARSE)
  fine = max(means[name] for name in attributes.FINE)
  assert coarse > 2.5 * fine, means
  assert min(gaps["texture"]) > 10 and min(gaps["warm"]) > 10


def test_a_thing_lies_within_the_picture_and_where_it_says():
  for look in draws(40):
    image = attributes.render(look, 32)
    for edge in (image[0], image[-1], image[:, 0], image[:, -1]):
      assert edge.max() < attributes.GROUND + 1
    ink = image[..., 1] - attributes.GROUND
    rows, columns = np.indices(ink.shape) + 0.5
    y, x = ((ink * axis).sum() / ink.sum() / 32 for axis in (rows, columns))
    np.testing.assert_allclose((y, x), (look.y, look.x), atol=0.04)
    place = look.values["place"]
    assert attributes.CLASSES["place"][place].split() == [
      "bottom" if y > 0.5 else "top",
      "right" if x > 0.5 else "left",
    ]


def test_a_tint_is_red_less_blue_and_a_texture_only_darkens():
  look = dataclasses.replace(draws(1)[0], texture=0, tint=0.5)
  plain = attributes.render(look, 32)
  apart = plain[..., 0] - plain[..., 2]
  assert apart.max() == pytest.approx(attributes.LEVELS)
  flipped = attributes.render(dataclasses.replace(look, tint=-0.5), 32)
  np.testing.assert_allclose(flipped, plain[..., ::-1], atol=1e-3)
  striped = attributes.render(dataclasses.replace(look, texture=1), 32)
  assert (striped <= plain + 1e-3).all() and striped.sum() < plain.sum()


def test_numbers_of_a_look_tell_all_of_it():
  for look in draws(10):
    stored = {k: np.asarray(v, np.float32) for k, v in look.values.items()}
    assert attributes.of(stored) == look
