"""The schedules of LMD's card."""

import numpy as np
import pytest

from jmim.masks import tokens as masking
from jmim.methods.parts import curriculum

END = 0.75
RISING = ("cosine", "piecewise", "linear")


def ratios(name, steps, whole=True, **more):
  made = curriculum.Curriculum(name=name, steps=steps, **more)
  return made.ratios(END, steps if whole else 0)


@pytest.mark.parametrize("steps", [1, 2, 5, 60, 61, 62, 1000])
@pytest.mark.parametrize("name", RISING)
def test_schedules_rise_from_start_to_end_and_stay_there(name, steps):
  found = ratios(name, steps)
  assert found.shape == (steps,) and found.dtype == np.float64
  assert (np.diff(found) >= 0).all()
  assert (found[np.arange(steps) >= 2 * steps / 3] == END).all()
  if steps > 1:
    assert found[0] == pytest.approx(0.15, abs=1e-15)
  # Without a number of steps it ends with the first that has the end.
  short = ratios(name, steps, whole=False)
  assert short[-1] == END and (short[:-1] < END).all()
  both = min(len(short), steps)
  np.testing.assert_array_equal(short[:both], found[:both])


def test_cosine_is_the_formula_of_the_card_and_has_n_and_one_entries():
  found, n = ratios("cosine", 100, whole=False), 66
  assert len(found) == n + 1
  f = lambda k: np.cos((k / n + 0.008) / 1.008 * np.pi / 2) ** 2
  for k in (0, 1, 33, 65, 66):
    want = 0.15 + 0.60 * (1 - f(k) / f(0))
    assert found[k] == pytest.approx(want, abs=1e-15)


def test_piecewise_is_as_meant():
  """0.40 at T / 6 and T / 3, where its second line starts; never above 0.75."""
  found = ratios("piecewise", 60)
  np.testing.assert_allclose(found[:11], np.linspace(0.15, 0.4, 11))
  np.testing.assert_allclose(found[10:21], 0.4)
  np.testing.assert_allclose(found[20:41], np.linspace(0.4, 0.75, 21))
  np.testing.assert_array_equal(found[40:], 0.75)
  other = ratios("piecewise", 60, start=0.0, middle=0.6)
  assert other[0] == 0 and other[15] == 0.6


def test_linear_is_a_line_over_two_thirds():
  found = ratios("linear", 90)
  np.testing.assert_allclose(found[:61], np.linspace(0.15, 0.75, 61))


def test_fixed_has_the_end_at_all_steps():
  np.testing.assert_array_equal(ratios("fixed", 9), 0.75)
  assert len(ratios("fixed", 9, whole=False)) == 1


@pytest.mark.parametrize("name", (*RISING, "fixed"))
@pytest.mark.parametrize("n", [16, 49, 100])
def test_counts_are_rounded_down_in_double_precision(name, n):
  made = curriculum.Curriculum(name=name, steps=500)
  found = made.counts(n, END)
  exact = [masking.keep_count(n, float(r)) for r in made.ratios(END, 500)]
  np.testing.assert_array_equal(found, exact)
  assert found[-1] == masking.keep_count(n, END)
  assert (np.diff(found) <= 0).all()


def test_counts_of_single_precision_would_be_others():
  """int(100 (1 - 0.9)) is 9, as 1 - 0.9 is just below 0.1."""
  made = curriculum.Curriculum(name="fixed", steps=1)
  assert made.counts(100, 0.9)[0] == 9
  assert int(np.float32(100) * (np.float32(1) - np.float32(0.9))) == 10


@pytest.mark.parametrize(
  "n, share, distinct", [(16, 1.719, 10), (49, 1.798, 30)]
)
def test_the_cosine_keeps_more_tokens_than_a_fixed_ratio(n, share, distinct):
  """Over 1200 steps; and the integral of the ratio, before rounding."""
  found = curriculum.Curriculum(steps=1200).counts(n, END)
  assert found.sum() / (1200 * found[-1]) == pytest.approx(share, abs=1e-3)
  assert len(set(found)) == distinct
  a, b = 0.008 / 1.008 * np.pi / 2, np.pi / 2
  mean_f = 0.5 + (np.sin(2 * b) - np.sin(2 * a)) / (4 * (b - a))
  rise = 0.15 + 0.6 * (1 - mean_f / np.cos(a) ** 2)
  visible = n * (1 - (2 / 3 * rise + 1 / 3 * END))
  # int() takes away half a token on average, of those that change.
  assert visible - 0.75 < found.mean() < visible


@pytest.mark.parametrize(
  "fields, end, seen",
  [
    ({"start": 0.8}, 0.75, "curriculum.start, mask_ratio"),
    ({"name": "piecewise"}, 0.3, "curriculum.middle"),
    ({"name": "linear"}, 0.1, "do not rise"),
  ],
)
def test_ratios_that_fall_are_refused(fields, end, seen):
  with pytest.raises(ValueError, match=seen):
    curriculum.Curriculum(**fields).check(end)


def test_a_fixed_ratio_may_be_any():
  curriculum.Curriculum(name="fixed", start=0.9).check(0.0)
  curriculum.Curriculum(start=0.15).check(0.3)


@pytest.mark.parametrize("name", curriculum.NAMES)
def test_a_ratio_that_grows_is_of_the_whole_run(name):
  made = curriculum.Curriculum(name=name, steps=7)
  asked = {} if name == "fixed" else {"own.steps": 7}
  assert made.lengths("own") == asked
