"""Processes that take turns, made up here."""

import pytest

from jmim.core import errors
from jmim.tools import bench_sides

PEER = """
import json, sys
spec = json.loads(sys.stdin.readline())
print("a line that is no answer")
print(json.dumps({"doubled": 2 * spec["x"]}), flush=True)
for line in sys.stdin:
  print(json.dumps({"seconds": int(line) * 0.5, "cpu": 0.1}), flush=True)
"""


@pytest.fixture
def peer(tmp_path, monkeypatch):
  """The name of a module that answers."""
  (tmp_path / "fake_peer.py").write_text(PEER)
  (tmp_path / "dies.py").write_text("import sys; sys.exit(3)")
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  return "fake_peer"


def test_sides_are_asked_in_turn(peer):
  sides = [bench_sides.Side(peer, {"x": i}) for i in (1, 2)]
  assert [s.facts["doubled"] for s in sides] == [2, 4]
  laps = list(bench_sides.turns(sides, steps=4, rounds=3))
  one = {"seconds": pytest.approx(0.5), "cpu": pytest.approx(0.025)}
  assert laps == [[one, one]] * 3
  for side in sides:
    side.close()
    assert side.process.returncode == 0


def test_a_side_that_ends_is_an_error(peer):
  with pytest.raises(errors.UserError, match="dies ended with 3"):
    bench_sides.Side("dies", {"x": 1})


def test_a_turn_begins_with_a_step_that_does_not_count():
  asked = []

  class Side:
    def ask(self, steps):
      asked.append(steps)
      return {"seconds": 10.0 if steps == 1 else 6.0, "cpu": 3.0}

  (row,) = bench_sides.turns([Side()], steps=3, rounds=1)
  assert asked == [1, 3] and row == [{"seconds": 2.0, "cpu": 1.0}]


def test_the_ratio_is_the_peers_time_over_ours():
  row = [{"seconds": 2.0, "cpu": 4.0}, {"seconds": 3.0, "cpu": 2.0}]
  assert bench_sides.over(row) == 1.5 and bench_sides.over(row, "cpu") == 0.5
