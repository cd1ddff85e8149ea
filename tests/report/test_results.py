from jmim.report import results


def test_a_prefix_without_its_number_is_no_reference():
  assert results.reference("pixels_top1", {"pixels_top1": 1}) is None
  assert results.reference("a_colour", {"a": 1}) == ("a", "colour")
  assert results.reference("untrained_top1_k5", {"top1_k5": 1}) == (
    "top1_k5",
    "untrained",
  )


def test_reference_lines_are_no_rows_of_their_own():
  rows = results.rows(
    {"top1": 60.0, "pixels_top1": 30.0, "untrained_top1": "nan", "n": 5}
  )
  assert rows == [
    {
      "key": "top1",
      "value": 60.0,
      "lines": {"pixels": 30.0, "untrained": None},
    },
    {"key": "n", "value": 5.0, "lines": {}},
  ]


def test_the_newest_line_of_each_evaluator_counts():
  lines = [
    {"step": 1, "eval": "a", "a/x": 1.0, "protocol": {"type": "t", "k": [1]}},
    {"step": 2, "loss": 1.0},
    {"step": 3, "eval": "a", "a/x": 2.0, "protocol": {"type": "t", "k": [2]}},
  ]
  (one,) = results.evaluations(lines)
  assert (one["step"], one["type"]) == (3, "t")
  assert one["rows"] == [{"key": "x", "value": 2.0, "lines": {}}]
  assert one["protocol"] == [["type", "t"], ["k", "[2]"]]
  assert results.reference_keys([one]) == {}
  one["rows"][0]["lines"]["pixels"] = 1.0
  assert results.reference_keys([one]) == {"a/x": {"pixels": 1.0}}


def test_strings_are_shown_without_quotes():
  assert results.text("a b") == "a b"
  assert results.text((0.5, 1)) == "[0.5, 1]" and results.text(None) == "null"
