from jmim.report import results
from jmim.runlog import readings


def test_reference_lines_are_no_rows_of_their_own():
  values = {"top1": 60.0, "pixels_top1": 30.0, "untrained_top1": "nan", "n": 5}
  first, second = results.rows(values, {"top1": readings.PERCENT})
  assert first == {
    "key": "top1",
    "value": 60.0,
    "unit": "%",
    "lines": {"pixels": 30.0, "untrained": None},
    "told": "top1: better than plain pixels, 60.00 % against 30.00 %",
  }
  assert second == {
    "key": "n",
    "value": 5.0,
    "unit": "",
    "lines": {},
    "told": "",
  }


def test_a_line_of_a_line_is_a_row():
  values = {"a": 1.0, "pixels_a": 2.0, "pixels_pixels_a": 3.0}
  found = {row["key"]: row for row in results.rows(values)}
  assert found["a"]["lines"] == {"pixels": 2.0}
  assert found["pixels_pixels_a"]["value"] == 3.0 and len(found) == 2


def test_the_newest_line_of_each_evaluator_counts():
  lines = [
    {"step": 1, "eval": "a", "a/x": 1.0, "protocol": {"type": "t", "k": [1]}},
    {"step": 2, "loss": 1.0},
    {
      "step": 3,
      "eval": "a",
      "a/x": 2.0,
      "protocol": {"type": "t", "k": [2]},
      "reads": {"x": ["dB", "higher"]},
    },
  ]
  (one,) = results.evaluations(lines)
  assert (one["step"], one["type"]) == (3, "t")
  (row,) = one["rows"]
  assert (row["key"], row["value"], row["unit"]) == ("x", 2.0, "dB")
  assert one["protocol"] == [["type", "t"], ["k", "[2]"]]
  assert results.reference_keys([one]) == {}
  one["rows"][0]["lines"]["pixels"] = 1.0
  assert results.reference_keys([one]) == {"a/x": {"pixels": 1.0}}


def test_strings_are_shown_without_quotes():
  assert results.text("a b") == "a b"
  assert results.text((0.5, 1)) == "[0.5, 1]" and results.text(None) == "null"
