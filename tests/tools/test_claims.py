import json
import math

import pytest

from jmim.core import errors
from jmim.tools import claims


@pytest.mark.parametrize(
  ("low", "high", "good", "bad"),
  [
    (None, 2.0, (2.0, -9.0), (2.1,)),
    (1.0, None, (1.0, 9.0), (0.9,)),
    (1.0, 2.0, (1.0, 2.0), (0.9, 2.1)),
  ],
)
def test_thresholds_include_their_ends_and_no_nan(low, high, good, bad):
  condition = claims.Condition(text="x", value=len, at_most=high, at_least=low)
  assert all(map(condition.holds, good))
  assert not any(map(condition.holds, (*bad, float("nan"))))


def test_a_condition_without_threshold_is_refused():
  with pytest.raises(ValueError, match="no threshold"):
    claims.Condition(text="x", value=len)


def test_a_metric_nobody_measured_is_named(tmp_path):
  (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": "nan"}\n')
  metrics = claims.Metrics(tmp_path)
  assert str(metrics["loss"]) == "nan"
  with pytest.raises(errors.UserError, match="loss"):
    metrics["lost"]


def test_metrics_are_the_last_values_and_their_history(tmp_path):
  lines = [
    {"step": 4, "loss": 2.0, "flag": True, "name": "x"},
    {"step": 2, "loss": 3.0},
    {"step": 6, "loss": "inf", "probe/accuracy": 50},
  ]
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (tmp_path / "metrics.jsonl").write_text(text)
  metrics = claims.Metrics(tmp_path)
  assert metrics["loss"] == math.inf and metrics["probe/accuracy"] == 50.0
  assert not {"flag", "name"} & set(metrics)
  assert list(metrics.history("loss").items()) == [
    (2, 3.0),
    (4, 2.0),
    (6, math.inf),
  ]


@pytest.mark.parametrize(
  "low, high, text",
  [(None, 2.0, "<= 2"), (1.5, None, ">= 1.5"), (0.0, 1.0, ">= 0 and <= 1")],
)
def test_thresholds_are_shown(low, high, text):
  condition = claims.Condition(text="x", value=len, at_most=high, at_least=low)
  assert condition.accept() == text
