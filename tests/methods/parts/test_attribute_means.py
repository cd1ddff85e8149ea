import numpy as np
import pytest

from jmim.methods.parts import attribute_means as means

RNG = np.random.default_rng(0)
H = RNG.normal(size=(11, 2, 3)).astype(np.float32)
KIND = np.array([0, 1, 2, 0, 1, 2, 2, 0, 1, 1, 2])


def rows(size, **columns):
  columns = {"h": H, **columns}
  for i in range(0, len(H), size):
    yield {name: x[i : i + size] for name, x in columns.items()}


def test_a_contrast_is_read():
  assert means.read("kind:2-10") == means.Contrast(entry="kind", to=2, off=10)
  assert means.read("kind:2").off is None
  assert means.read("kind:2-10").highest == 10
  assert means.read("kind:2-10").line == means.read("kind:10-02").line
  assert means.read("kind:2").line != means.read("kind:2-10").line
  forms = ("kind", "kind:a", "kind:1-", "kind:1-1", "kind:1-01", "kind:-1")
  for text in (*forms, ":1"):
    with pytest.raises(ValueError, match="ENTRY:CLASS"):
      means.read(text)


@pytest.mark.parametrize("size", [2, 11])
def test_labels_are_told_from_one_class_or_from_all(size):
  both = (means.read("kind:0-1"), means.read("kind:2"))
  found = means.by_labels(rows(size, kind=KIND), both)
  of = lambda side: H[side].mean(0)
  np.testing.assert_allclose(found[0], of(KIND == 0) - of(KIND == 1), rtol=1e-5)
  np.testing.assert_allclose(found[1], of(KIND == 2) - of(KIND != 2), rtol=1e-5)
  # The mean of the differences of all pairs is the same.
  pairs = H[KIND == 0][:, None] - H[KIND == 1][None]
  np.testing.assert_allclose(found[0], pairs.mean((0, 1)), atol=1e-6)


def test_a_class_that_nobody_has_is_named():
  with pytest.raises(ValueError, match="kind: 3 examples of class 0 and 0"):
    means.by_labels(rows(4, kind=KIND), [means.read("kind:0-7")])


@pytest.mark.parametrize("size", [1, 4, 11])
def test_scores_choose_the_highest_and_the_lowest(size):
  scores = RNG.normal(size=(11, 2)).astype(np.float32)
  found = means.by_scores(rows(size, scores=scores), 3)
  for i in range(2):
    order = np.argsort(scores[:, i])
    wanted = H[order[-3:]].mean(0) - H[order[:3]].mean(0)
    np.testing.assert_allclose(found[i], wanted, atol=1e-6)


def test_of_equal_scores_the_first_count_whatever_the_batches():
  scores = np.zeros((11, 1), np.float32)
  scores[4] = 1
  for size in (2, 5, 11):
    found = means.by_scores(rows(size, scores=scores), 2)[0]
    wanted = H[[4, 0]].mean(0) - H[[0, 1]].mean(0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
  with pytest.raises(ValueError, match="extremes=6 of 11 examples"):
    means.by_scores(rows(4, scores=scores), 6)


def test_a_score_is_a_logit_or_a_difference():
  logits = RNG.normal(size=(4, 3))
  np.testing.assert_array_equal(means.read("a:2").score(logits), logits[:, 2])
  wanted = logits[:, 2] - logits[:, 0]
  np.testing.assert_array_equal(means.read("a:2-0").score(logits), wanted)
