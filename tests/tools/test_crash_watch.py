"""What a run notes while it goes on, and what is seen of it from outside."""

import threading
import time

from jmim.runlog import clock as clocks
from jmim.tools import crash_child
from jmim.tools import crash_watch


def test_a_run_notes_what_it_begins(tmp_path, monkeypatch):
  monkeypatch.setattr(clocks.Clock, "measure", clocks.Clock.measure)  # undone
  crash_child.noting(tmp_path / "run.notes")
  clock = clocks.Clock()
  for name in ("compile", "input", "input", "checkpoint", "input", "eval"):
    with clock.measure(name):
      pass
  assert (tmp_path / "run.notes").read_text().split() == [
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


def test_what_goes_on_in_threads_is_seen_in_the_folder(tmp_path):
  watch = crash_watch.Watch(tmp_path / "run")
  folder = tmp_path / "run" / "checkpoints"
  assert watch.now() == "start"
  (folder / "6.orbax-checkpoint-tmp").mkdir(parents=True)
  for noted, seen in (
    ("start", "start"),
    ("compile", "compile"),
    ("step", "save"),
    ("evaluation", "save"),
  ):
    watch.notes.write_text(f"start\n{noted}\n")
    assert watch.now() == seen
  (folder / "trash").mkdir()
  assert watch.now() == "clean-up"
  (folder / "trash").rmdir()
  (folder / "6.orbax-checkpoint-tmp").rename(folder / "6")
  assert watch.now() == "evaluation"


def test_the_second_of_a_kind_is_waited_for(tmp_path):
  watch = crash_watch.Watch(tmp_path / "run")
  (tmp_path / "run" / "checkpoints").mkdir(parents=True)
  plan = ["step", "save", "step", "save", "step", "save"]
  at = []

  def run():
    for i, noted in enumerate(plan):
      watch.notes.write_text(f"{noted}\n")
      at.append(i)
      time.sleep(0.1)

  thread = threading.Thread(target=run)
  thread.start()
  assert watch.reaches("save", 2, thread.is_alive)
  assert plan[: at[-1] + 1].count("save") >= 2
  assert not watch.reaches("evaluation", 1, thread.is_alive)
  thread.join()


def test_a_run_that_is_let_alone_is_timed(tmp_path):
  watch = crash_watch.Watch(tmp_path / "run")
  (tmp_path / "run" / "checkpoints").mkdir(parents=True)
  left = ["start", "start", "step", "step", "save", "step"]

  def running():
    if left:
      watch.notes.write_text(left.pop(0) + "\n")
      return True
    return False

  lasts = watch.until(running)
  assert {n: len(x) for n, x in lasts.items()} == {
    "start": 1,
    "step": 2,
    "save": 1,
  }
