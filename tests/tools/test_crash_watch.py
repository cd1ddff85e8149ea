"""What is seen of a run from outside."""

import threading
import time

from jmim.tools import crash_watch


def test_what_goes_on_in_threads_is_seen_in_the_folder(tmp_path):
  watch = crash_watch.Watch(tmp_path / "run")
  folder = tmp_path / "run" / "checkpoints"
  assert watch.now() == "start"
  (folder / "6.orbax-checkpoint-tmp").mkdir(parents=True)
  for logged, seen in (
    ("start", "start"),
    ("compile", "compile"),
    ("step", "save"),
    ("evaluation", "save"),
  ):
    watch.log.write_text(f"start\n{logged}\n")
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
    for i, phase in enumerate(plan):
      watch.log.write_text(f"{phase}\n")
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
  phases = ["start", "start", "step", "step", "save", "step"]

  def running():
    if phases:
      watch.log.write_text(phases.pop(0) + "\n")
      return True
    return False

  durations = watch.until(running)
  assert {n: len(x) for n, x in durations.items()} == {
    "start": 1,
    "step": 2,
    "save": 1,
  }
