"""Retrieval against sums written out and scikit-learn."""

import jax
import numpy as np
import pytest
import sklearn.metrics

from jmim.metrics import retrieval


def case(m=23, n=61, d=5, ids=9, seed=0):
  rng = np.random.default_rng(seed)
  query, gallery = rng.normal(size=(m, d)), rng.normal(size=(n, d))
  return query, gallery, rng.integers(0, ids, m), rng.integers(0, ids, n)


def cosine(query, gallery):
  unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
  return unit(query) @ unit(gallery).T


def by_hand(similar, right):
  """AP and first rank of one query, walking down its sorted answers."""
  order = np.argsort(-similar, kind="stable")
  hits, precisions, first = 0, [], None
  for rank, g in enumerate(order, 1):
    if right[g]:
      hits += 1
      precisions.append(hits / rank)
      first = first or rank
  return np.mean(precisions), first


def test_average_precision_and_ranks_are_those_of_a_walk_down_the_list():
  query, gallery, asked, answers = case()
  above = retrieval.wrong_above(query, gallery, asked, answers)
  precision = retrieval.average_precision(above)
  similar = cosine(query, gallery)
  for q, one in enumerate(similar):
    right = answers == asked[q]
    want, first = by_hand(one, right)
    assert precision[q] == pytest.approx(want)
    theirs = sklearn.metrics.average_precision_score(right, one)
    assert precision[q] == pytest.approx(theirs)
    for k in (1, 2, 5, 60):
      assert retrieval.found(above, k)[q] == (first <= k)


@pytest.mark.parametrize(
  ("devices", "chunk", "block"), [(8, 7, 3), (3, 64, 64)]
)
def test_devices_and_blocks_change_nothing(devices, chunk, block):
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("data",))
  given = case()
  want = retrieval.wrong_above(*given)
  got = retrieval.wrong_above(*given, mesh=mesh, chunk=chunk, block=block)
  np.testing.assert_array_equal(got, want)


def test_one_right_answer_is_worth_one_over_its_rank():
  gallery = np.eye(6) + 0.01
  query = np.array([[0.1, 0.5, 0.3, 0.2, 0, 0], [0, 0, 0, 0, 0, 1.0]])
  above = retrieval.wrong_above(query, gallery, np.array([2, 5]), np.arange(6))
  np.testing.assert_allclose(retrieval.average_precision(above), [1 / 2, 1])
  np.testing.assert_array_equal(retrieval.found(above, 1), [0, 1])
  np.testing.assert_array_equal(retrieval.found(above, 2), [1, 1])


def test_what_tells_nothing_is_worth_nothing():
  """All alike: every wrong one comes before the right one."""
  ones = np.ones((4, 3))
  above = retrieval.wrong_above(ones[:2], ones, np.arange(2), np.arange(4))
  np.testing.assert_allclose(retrieval.average_precision(above), [1 / 4] * 2)


def test_a_gallery_with_the_queries_themselves_is_found_at_once():
  gallery = np.random.default_rng(0).normal(size=(50, 8))
  ids = np.arange(50)
  above = retrieval.wrong_above(gallery[::5], gallery, ids[::5], ids)
  assert retrieval.average_precision(above).mean() == 1
  assert retrieval.found(above, 1).mean() == 1


def test_only_the_direction_of_a_vector_counts():
  query, gallery, asked, answers = case()
  longer = np.random.default_rng(1).uniform(0.1, 9, (len(gallery), 1))
  np.testing.assert_array_equal(
    retrieval.wrong_above(3 * query, longer * gallery, asked, answers),
    retrieval.wrong_above(query, gallery, asked, answers),
  )


def test_a_query_of_the_gallery_does_not_find_itself():
  _, gallery, _, ids = case(n=30, ids=6)
  rows = np.arange(30)
  above = retrieval.wrong_above(gallery, gallery, ids, ids, itself=rows)
  precision = retrieval.average_precision(above)
  similar = cosine(gallery, gallery)
  for q in rows:
    others = rows != q
    right = (ids == ids[q])[others]
    if not right.any():
      assert np.isnan(precision[q])
      continue
    assert precision[q] == pytest.approx(by_hand(similar[q][others], right)[0])


def test_a_query_without_an_answer_has_no_number():
  query, gallery, asked, answers = case(m=3)
  asked[1] = 10**12  # ids need no 32 bits
  above = retrieval.wrong_above(query, gallery, asked, answers)
  assert np.isnan(retrieval.average_precision(above)).tolist() == [
    False,
    True,
    False,
  ]
  assert np.isnan(retrieval.found(above, 1)[1])


def test_ranks_in_a_table_by_hand():
  scores = np.array(
    [[3.0, 1.0, 2.0, 9.0], [1.0, 1.0, 0.0, 0.0], [5.0, 4.0, 4.5, 0.0]]
  )
  rows, columns = retrieval.in_table(scores, np.array([0, 1, 2]))
  np.testing.assert_array_equal(rows, [1, 1, 1])  # equal ones come first
  # Column 3 is nobody's; 0 has a better row, 1 two as good or better.
  np.testing.assert_array_equal(columns, [1, 2, 0])


def test_columns_with_several_rows_count_the_best_of_them():
  scores = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 5.0]])
  rows, columns = retrieval.in_table(scores, np.array([0, 0, 1]))
  np.testing.assert_array_equal(rows, [0, 0, 0])
  np.testing.assert_array_equal(columns, [0, 0])
