import dataclasses

import numpy as np
import pytest

from jmim.methods.parts import relations
from jmim.nn import sizes

PART = relations.Relations()


def tokens(normal, *shape, seed=0):
  return {n: normal(*shape, seed=seed + i) for i, n in enumerate("qkv")}


def softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("cls", [False, True])
def test_divergence_on_the_tokens_alive_in_both(normal, cls):
  """Two layers, a student of other width, a teacher with a register."""
  part = dataclasses.replace(PART, cls=cls, layers=(0, 1))
  teacher = tokens(normal, 2, 2, 3, 2 + 6, 5)
  ids = [np.array([[0, 2, 3, 5], [1, 2, 4, 5]]), np.array([[2, 5], [1, 4]])]
  student = [
    tokens(normal, 2, 3, 1 + i.shape[1], 4, seed=9 * n + 5) | {"ids": i}
    for n, i in enumerate(ids)
  ]
  expected = []
  for layer, own in enumerate(student):
    for b in range(2):
      first = [0] if cls else []
      place = [*first, *(2 + own["ids"][b])]
      mine = slice(0 if cls else 1, None)
      for x, y in (("q", "k"), ("v", "v")):
        for h in range(3):
          p = softmax(
            (teacher[x][layer, b, h] @ teacher[y][layer, b, h].T / 5**0.5)[
              np.ix_(place, place)
            ]
          )
          u, w = own[x][b, h, mine], own[y][b, h, mine]
          q = softmax(u @ w.T / 2)
          expected.append((p * np.log(p / q)).sum(-1).mean())
  # Mean over layers, examples and heads; sum over the two kinds.
  expected = 2 * np.mean(expected)
  found = part.loss(student, teacher, (1, 2))
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_kinds_add_up_and_none_is_negative(normal):
  teacher = tokens(normal, 1, 2, 2, 5, 4)
  ids = np.array([[0, 1, 3]] * 2)
  student = [tokens(normal, 2, 2, 4, 4, seed=7) | {"ids": ids}]
  by = {
    kinds: dataclasses.replace(PART, kinds=kinds).loss(student, teacher, (1, 1))
    for kinds in relations.SETS
  }
  np.testing.assert_allclose(by["qk"] + by["vv"], by["qk+vv"], rtol=1e-5)
  assert by["qk"] > 0 and by["vv"] > 0


def test_a_copy_has_no_divergence(normal):
  teacher = tokens(normal, 1, 2, 2, 5, 4)
  copy = {n: x[0] for n, x in teacher.items()}
  copy["ids"] = np.array([[0, 1, 2, 3]] * 2)
  assert abs(PART.loss([copy], teacher, (1, 1))) < 1e-6


def test_rows_sum_to_1_on_what_is_kept(normal):
  full = tokens(normal, 2, 2, 1 + 6, 4)
  ids = np.array([[0, 2, 5], [1, 3, 4]])
  for kind in relations.KINDS:
    maps = np.exp(PART.maps(PART.alive(full, ids, 1), kind))
    assert maps.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(maps.sum(-1), 1.0, rtol=1e-5)
    # The same as rows and columns of the whole map, scaled to 1 again.
    whole = np.exp(PART.maps(PART.alive(full, None, 1), kind))
    for b in range(2):
      part = whole[b][:, ids[b]][:, :, ids[b]]
      part /= part.sum(-1, keepdims=True)
      np.testing.assert_allclose(maps[b], part, rtol=1e-4)


def test_heads_can_be_cut_again(normal):
  """Two heads of six are one vector of twelve, cut into three of four."""
  part = dataclasses.replace(PART, heads=3)
  x = tokens(normal, 1, 2, 4, 6)
  flat = {n: np.concatenate([a[0, 0], a[0, 1]], -1) for n, a in x.items()}
  maps = np.exp(part.maps(x, "qk"))
  for h in range(3):
    q, k = (flat[n][:, 4 * h : 4 * h + 4] for n in "qk")
    np.testing.assert_allclose(maps[0, h], softmax(q @ k.T / 2), rtol=1e-4)


SMALL = sizes.Size(width=24, depth=3, heads=4)
OTHER = sizes.Size(width=24, depth=2, heads=3)


@pytest.mark.parametrize(
  "change, teacher, word",
  [
    ({}, OTHER, "the student has 4, its teacher 3"),
    ({"heads": 5}, OTHER, "heads 5 does not divide"),
    ({"layers": (2,), "heads": 2}, OTHER, "layers: 2 of 2 teacher blocks"),
    ({"layers": (-4,)}, SMALL, "layers: -4 of 3 student blocks"),
    ({"layers": (1, -2)}, SMALL, "names a block twice"),
    ({"layers": ()}, SMALL, "at least one block"),
  ],
)
def test_what_cannot_be_compared_is_named(change, teacher, word):
  PART.check(SMALL, SMALL)
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(PART, **change).check(SMALL, teacher)
