"""launch/local.sh --supervise, with a `python` that ends as it is told."""

import os
import pathlib
import signal
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "launch" / "local.sh"
# Each start takes the next line of `plan`: what to do, then the exit code.
PYTHON = """#!/usr/bin/env bash
n=$(($(cat starts 2>/dev/null || echo 0) + 1))
echo $n > starts
line="$(sed -n "${n}p" plan)"
echo "start $n: $*"
eval "$line"
"""


def start(tmp_path, *plan, **env):
  for name, text in (("python", PYTHON), ("plan", "\n".join(plan) + "\n")):
    (tmp_path / name).write_text(text)
  (tmp_path / "python").chmod(0o755)
  (tmp_path / "recipe.py").touch()
  env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JMIM_BACKOFF": "0", **env}
  return subprocess.Popen(
    [str(SCRIPT), "--supervise", "recipe.py", "out", "--x=y z"],
    cwd=tmp_path,
    env=env,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    # A shell in the background leaves it ignored, and then no trap hears it.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )


def ended(tmp_path, *plan, **env):
  """(exit code, number of starts, stderr)."""
  process = start(tmp_path, *plan, **env)
  out, err = process.communicate()
  return process.returncode, out.count("start "), err


@pytest.mark.parametrize("code", [0, 2, 3])
def test_where_starting_again_cannot_help_it_does_not(tmp_path, code):
  assert ended(tmp_path, f"exit {code}")[:2] == (code, 1)


def test_a_crashed_run_is_started_again(tmp_path):
  code, starts, err = ended(tmp_path, "exit 1", "kill -9 $$", "exit 0")
  assert (code, starts) == (0, 3)
  assert "crash 1 of 3" in err and "status 137" in err


def test_crashes_at_the_same_step_end_it(tmp_path):
  code, starts, err = ended(tmp_path, *["exit 1"] * 9, JMIM_CRASHES="4")
  assert (code, starts) == (1, 4)
  assert "crash 4 in a row at checkpoint 0" in err


def test_a_new_checkpoint_is_progress(tmp_path):
  plan = [f"mkdir -p out/checkpoints/{i}00; exit 1" for i in range(1, 6)]
  code, starts, err = ended(tmp_path, *plan, *["exit 1"] * 9)
  # The crash that brought checkpoint 500 is the first at it.
  assert (code, starts) == (1, 7)
  assert "in a row at checkpoint 500" in err


def test_half_a_checkpoint_is_none(tmp_path):
  plan = [f"mkdir -p out/checkpoints/{i}.tmp; exit 1" for i in range(1, 9)]
  assert ended(tmp_path, *plan)[:2] == (1, 3)


def test_a_run_that_was_stopped_is_no_crash(tmp_path):
  code, starts, err = ended(tmp_path, *["exit 75"] * 9, "exit 0")
  assert (code, starts) == (0, 10) and "crash" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_for_the_script_is_one_for_the_run(tmp_path, number):
  plan = (
    "trap 'sleep 0.3; echo saved; exit 75' TERM INT; echo ready; "
    "while true; do sleep 0.05; done"
  )
  process = start(tmp_path, plan)
  assert process.stdout.readline().startswith("start 1")
  assert process.stdout.readline() == "ready\n"
  process.send_signal(number)
  out, _ = process.communicate()
  assert process.returncode == 75  # and it is not started again
  assert out == "saved\n"


@pytest.mark.parametrize(
  "env", [{"JMIM_CRASHES": "0"}, {"JMIM_BACKOFF": "soon"}], ids=str
)
def test_wrong_settings_show_the_usage(tmp_path, env):
  code, starts, err = ended(tmp_path, "exit 0", **env)
  assert (code, starts) == (2, 0) and "usage:" in err
