"""The table of seconds at the end of a run."""

import types

import seconds


def test_folders_and_files_are_sorted_by_what_they_took():
  table = seconds.Seconds()
  for nodeid, took in (
    ("tests/nn/test_a.py::test_x[1]", 20),
    ("tests/nn/test_a.py::test_y", 30),
    ("tests/modes/deep/test_b.py::test_z", 70),
    ("tests/test_c.py::test_w", 1),
  ):
    report = types.SimpleNamespace(nodeid=nodeid, duration=took)
    table.pytest_runtest_logreport(report)
  assert [line.split() for line in table.lines()] == [
    ["121", "all"],
    ["70", "modes/"],
    ["50", "nn/"],
    ["1", "./"],
    ["70", "tests/modes/deep/test_b.py"],
    ["50", "tests/nn/test_a.py"],
    ["1", "tests/test_c.py"],
  ]
