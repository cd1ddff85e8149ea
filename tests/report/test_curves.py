import math

from jmim.report import curves


def test_only_finite_numbers_are_numbers():
  assert curves.number(1.23456789) == 1.23457 and curves.number(3) == 3.0
  for value in ("nan", float("inf"), float("nan"), None, True, [1.0]):
    assert curves.number(value) is None


def test_long_curves_keep_their_extremes_and_ends():
  n = 100_000
  y = [math.sin(i) for i in range(n)]
  y[77_777], y[50_001], y[60_000] = 9.0, -9.0, None
  one = curves.thin({"x": list(range(n)), "y": y})
  assert len(one["x"]) <= curves.POINTS + 2 and one["of"] == n
  assert (one["x"][0], one["x"][-1]) == (0, n - 1)
  points = dict(zip(one["x"], one["y"], strict=True))
  assert points[77_777] == 9.0 and points[50_001] == -9.0
  assert one["x"] == sorted(one["x"])


def test_a_stretch_without_numbers_keeps_a_gap():
  one = curves.thin({"x": list(range(100)), "y": [None] * 100}, limit=10)
  assert one["of"] == 100 and 5 <= len(one["x"]) <= 12
  assert set(one["y"]) == {None}


def test_each_number_of_the_log_is_a_curve():
  lines = [
    {"step": 1, "loss": 2.0},
    {"step": 2, "loss": "nan", "list": [1]},
    {"step": 2, "a/loss": 1.0, "eval": "a", "protocol": {"x": 1}},
  ]
  found = curves.series(lines)
  assert found == {
    "loss": {"x": [1, 2], "y": [2.0, None], "eval": "", "of": 2},
    "a/loss": {"x": [2], "y": [1.0], "eval": "a", "of": 1},
  }
  evals = [{"name": "a", "type": "jmim.evals.loss"}]
  assert curves.overlays(found, evals) == {"loss": "a/loss"}
  assert curves.overlays(found, [{"name": "a", "type": "jmim.evals.knn"}]) == {}
