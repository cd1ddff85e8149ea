"""What a person sees of a run, on terminals of 80 and 120 columns."""

import os
import sys

import pytest
import terminal

RECIPE = "tests/tools/crash_recipe.py:steps=24"


def test_a_screen_follows_what_is_written_over():
  screen = terminal.Screen(10)
  screen.feed("one\r\ntwo\x1b[1A\r\x1b[2Kthree\r\n")
  assert screen.shown() == ["three", "two"]
  screen.feed("x" * 12)
  assert screen.shown() == ["three", "x" * 10, "xx"]


@pytest.mark.parametrize(
  "width", [80, pytest.param(120, marks=pytest.mark.slow)]
)
def test_a_run_from_start_to_end(tmp_path, width):
  """Nothing is wider than the screen; log lines stay above the live one."""
  env = {k: v for k, v in os.environ.items() if k != "JPY_PARENT_PID"}
  env |= {"TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"}
  command = [sys.executable, "-m", "jmim.main", f"--config={RECIPE}"]
  command.append(f"--workdir={tmp_path / 'run'}")
  live, waited = [], set()
  for screen in terminal.run(command, width, env):
    shown = screen.shown()
    live += [line for line in shown[-2:] if "━" in line]
    waited |= {w for w in ("compiling", "evaluating") if w in "".join(shown)}
  text = "\n".join(shown)
  # At the start: what it is, in short.
  assert "jmim: mim.mae on digits/plain, 24 steps" in text
  assert "Ten largest arrays" not in text
  # In the middle: the bar with step, loss and time left; logs scroll by.
  middle = [line for line in live if "/24" in line and "loss 0" in line]
  assert middle and all("left" in line for line in middle)
  assert waited == {"compiling", "evaluating"}
  logs = [line for line in shown if line.startswith("step ")]
  assert [int(x.split()[1].split("/")[0]) for x in logs] == [*range(4, 25, 4)]
  assert all("loss" in line and "left" in line for line in logs)
  assert sum("MFU" in line for line in shown) == len(logs)  # none is folded
  # After an evaluation: numbers with their lines, and a sentence.
  assert "Evaluation at step 12" in text and "recon/mse" in text
  assert "better than the mean visible colour" in text
  assert "loss/loss" not in text
  # At the end.
  assert f"everything is in {tmp_path / 'run'}"[:width] in shown
  assert any(line.startswith("done: 24 steps") for line in shown)
