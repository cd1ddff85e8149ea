import pathlib
import sys

from jmim.tools import crash_runs


def second(tmp_path, monkeypatch, code):
  """A second process that does something else."""
  program = tmp_path / "python"
  program.write_text(f"#!/bin/sh\n{code}\n")
  program.chmod(0o755)
  monkeypatch.setattr(sys, "executable", str(program))
  return crash_runs.Second("config", pathlib.Path(tmp_path / "run"), [])


def test_what_becomes_of_a_second_process(tmp_path, monkeypatch):
  for code, expected in {
    "exit 2": "refused",
    "exit 0": "found the end",
    "exit 1": "exit code 1, see",
  }.items():
    made = second(tmp_path, monkeypatch, code)
    made._process.wait()
    assert made.end().startswith(expected)
  made = second(tmp_path, monkeypatch, "sleep 1000")
  assert made.end() == "went on" and made._process.poll() == -9
