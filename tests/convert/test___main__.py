"""The command line of `python -m jmim.convert`."""

import pytest

from jmim.convert import __main__ as command
from jmim.convert import families
from jmim.core import errors


def test_flags_and_overrides_are_told_apart():
  flags, overrides = command.parse(
    ["--from=mae", "--resize", "--config=x.py", "--config.method.size=8"]
  )
  assert flags == {"from": "mae", "resize": "", "config": "x.py"}
  assert overrides == ["method.size=8"]


@pytest.mark.parametrize(
  "arguments, seen",
  [
    (["--weights=x"], "no --out"),
    (["--out=x"], "no --weights"),
    (["--form=mae"], "did you mean '--from'"),
    (["mae"], "unknown key 'mae'"),
    (["--weights=/none", "--out=x"], "no such file"),
  ],
)
def test_mistakes_are_named(arguments, seen):
  with pytest.raises(errors.UserError, match=seen):
    command.main(arguments)


def test_the_list_has_a_row_for_each_family(capsys):
  command.main(["--list"])
  rows = [line.split() for line in capsys.readouterr().out.splitlines()]
  assert [row[0] for row in rows] == families.names()
  assert ["umd", "authors", "diffusion.umd,", "diffusion.maskdit"] in rows


def test_help_shows_the_flags(capsys):
  command.main(["--help"])
  out = capsys.readouterr().out
  assert [f for f in command.FLAGS if f"--{f}" not in out] == ["help"]


def test_arguments_reach_the_import(monkeypatch, tmp_path, capsys):
  calls = []

  def run(name, path, **options):
    calls.append((name, path, options))
    return ["ignored: x"]

  monkeypatch.setattr(command.importing, "run", run)
  command.main(
    [
      "--weights=w.npz",
      f"--out={tmp_path}",
      "--ignore=^a,b$",
      "--resize",
    ]
  )
  ((name, path, options),) = calls
  assert (name, path) == ("auto", "w.npz")
  assert options["config"] is None and options["resize"] is True
  assert options["ignore"] == ["^a", "b$"] and options["out"] == tmp_path
  assert capsys.readouterr().out == f"ignored: x\ndone: {tmp_path}\n"
