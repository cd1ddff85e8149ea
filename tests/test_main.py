"""The command line: which mode runs, and how it ends."""

import importlib
import inspect
import logging
import os
import sys

import pytest

from jmim import main
from jmim.core import errors
from jmim.modes import flags

pytestmark = pytest.mark.usefixtures("restored_flags")


@pytest.mark.parametrize(
  "error, code",
  [
    (errors.UserError("x", "y", "z"), 2),
    (errors.Diverged("x"), 3),
    (errors.NotSaved("x"), 4),
    (errors.HostsMissing("x"), 5),
    (errors.Preempted("x"), 75),
    (KeyboardInterrupt(), 130),
  ],
)
def test_exit_codes(monkeypatch, error, code):
  def fail(overrides):
    raise error

  monkeypatch.setattr(main, "parse", lambda argv: [])
  monkeypatch.setattr(main, "main", fail)
  monkeypatch.setattr("os._exit", sys.exit)  # where threads may hang
  with pytest.raises(SystemExit) as e:
    main.run()
  assert e.value.code == code


def test_a_warning_is_a_plain_line(monkeypatch, capsys):
  monkeypatch.setattr(logging.getLogger(), "handlers", [])
  monkeypatch.setattr(main, "parse", lambda argv: [])
  monkeypatch.setattr(main, "main", lambda _: logging.warning("left out: 1"))
  main.run()
  assert capsys.readouterr().err == "WARNING: left out: 1\n"


@pytest.mark.parametrize("name", main.MODES)
def test_every_mode_has_a_function_that_takes_its_flags(name):
  replay = ["--mode=eval", "--replay_step=3"]
  main.parse(["jmim", *(replay if name == "replay" else [f"--mode={name}"])])
  assert flags.mode() == name
  module, _, function = main.MODES[name].partition(":")
  run = getattr(importlib.import_module(module), function)
  first = () if name in ("export", "doctor") else ("config",)
  inspect.signature(run).bind(*first, "workdir", **flags.options())


def test_the_command_sees_modules_of_the_current_folder(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, "path", list(sys.path))
  monkeypatch.setattr(main.malloc, "huge_pages", lambda: None)
  monkeypatch.setattr(main, "run", lambda: None)
  main.cli()
  main.cli()
  assert sys.path[0] == str(tmp_path) and sys.path.count(str(tmp_path)) == 1


@pytest.mark.parametrize("word", ["--list", "--version", "--help"])
def test_a_screen_ends_the_command(capsys, word):
  with pytest.raises(SystemExit) as e:
    main.parse(["jmim", word])
  assert e.value.code == 0 and capsys.readouterr().out


def test_a_screen_may_be_read_in_part(monkeypatch, capsys):
  ours, theirs = os.pipe()
  os.close(ours)  # as `| head` does
  pipe = os.fdopen(theirs, "w", encoding="utf-8")
  monkeypatch.setattr(sys, "stdout", pipe)
  monkeypatch.setattr(sys, "argv", ["jmim", "--list"])
  with pytest.raises(SystemExit) as e:
    main.run()
  pipe.close()
  assert e.value.code == 0
  assert capsys.readouterr().err == ""


def test_the_doctor_needs_no_recipe(capsys):
  main.main(main.parse(["jmim", "doctor"]))
  assert "GB free in" in capsys.readouterr().out


def test_every_mode_can_be_chosen():
  assert set(main.MODES) - {"replay"} == set(flags.MODES)


def test_a_run_needs_a_workdir_and_a_description_does_not(
  monkeypatch, tmp_path
):
  recipe = tmp_path / "recipe.py"
  recipe.write_text(
    "from jmim.core import config as configs\n"
    "def get_config():\n"
    "  config = configs.base()\n"
    "  config.data.name, config.method.type = 'digits/plain', 'toys'\n"
    "  return config\n"
  )
  called = []
  monkeypatch.setattr(
    main, "_find", lambda name: lambda *a, **k: called.append(name)
  )
  overrides = main.parse(["jmim", f"--config={recipe}", "--mode=describe"])
  main.main(overrides)
  assert called == [main.MODES["describe"]]
  overrides = main.parse(["jmim", "--mode=train"])
  with pytest.raises(errors.UserError, match="no --workdir"):
    main.main(overrides)
  overrides = main.parse(["jmim", f"--workdir={tmp_path / 'run'}"])
  main.main(overrides)
  # The other hosts come before anything of the mode is imported.
  assert called[1:] == [main.JOIN, main.MODES["train"]]


def test_a_recipe_beside_an_export_imports_its_method(monkeypatch, tmp_path):
  # The config of a run imports nothing; see core.discovery.check_stored.
  recipe = tmp_path / "recipe.py"
  recipe.write_text(
    "from jmim.core import config as configs\n"
    "import sys\n"
    "def get_config():\n"
    "  sys.seen_by_the_test = True\n"
    "  config = configs.base()\n"
    "  config.method.type, config.data.name = 'mim.mae', 'synthetic'\n"
    "  return config\n"
  )
  monkeypatch.setattr(sys, "seen_by_the_test", False, raising=False)
  done = []
  monkeypatch.setattr(
    main, "_find", lambda name: lambda *a, **k: done.append(a)
  )
  for more, seen in ([], False), ([f"--config={recipe}"], True):
    main.main(main.parse(["jmim", "--mode=export", "--workdir=x", *more]))
    assert sys.seen_by_the_test is seen
  assert len(done) == 2
