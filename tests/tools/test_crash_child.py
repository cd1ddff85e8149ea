from jmim.runlog import clock as clocks
from jmim.tools import crash_child


def test_a_run_logs_what_it_begins(tmp_path, monkeypatch):
  monkeypatch.setattr(clocks.Clock, "measure", clocks.Clock.measure)  # undone
  crash_child.log_phases(tmp_path / "run.phases")
  clock = clocks.Clock()
  for name in ("compile", "input", "input", "checkpoint", "input", "eval"):
    with clock.measure(name):
      pass
  assert (tmp_path / "run.phases").read_text().split() == [
    "start",
    "compile",
    "start",
    "step",
    "save",
    "step",
    "evaluation",
    "step",
  ]
  assert clock.lap().keys() >= {"compile", "input", "checkpoint", "eval"}
