"""The command line; tests/convert/test_mounting.py has what it does."""

import pathlib

import pytest

from jmim.convert import mounting
from jmim.core import errors
from jmim.tools import mount

ARGS = ["--part=runs/part", "--host=runs/host"]


def test_what_is_on_what_is_printed(monkeypatch, capsys, tmp_path):
  calls = []

  def run(*args):
    calls.append(args)
    return ["host: runs/host, sha256 0"]

  monkeypatch.setattr(mounting, "run", run)
  out = tmp_path / "part"
  assert mount.main([*ARGS, f"--out={out}", "--weights=ema"]) == 0
  assert calls == [("runs/part", "runs/host", pathlib.Path(out), "ema")]
  lines = capsys.readouterr().out.splitlines()
  assert lines == ["host: runs/host, sha256 0", f"done: {out}"]


def test_a_mistake_is_one_screen(monkeypatch, capsys, tmp_path):
  def run(*args):
    raise errors.UserError("no run", "one", "correct it", "--part")

  monkeypatch.setattr(mounting, "run", run)
  assert mount.main([*ARGS, f"--out={tmp_path}"]) == 2
  assert "--part" in capsys.readouterr().err
  (tmp_path / "file").touch()
  monkeypatch.setattr(mounting, "run", lambda *args: pytest.fail("begun"))
  assert mount.main([*ARGS, f"--out={tmp_path / 'file'}"]) == 2
