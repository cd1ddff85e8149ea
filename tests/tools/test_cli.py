import argparse
import pathlib

import pytest

from jmim.core import errors
from jmim.tools import cli


def test_overrides_of_the_recipe_are_apart():
  argv = ["--config=a.py", "--config.seed=1", "DIR", "--config.optim.lr=0.5"]
  others, overrides = cli.overrides(argv)
  assert others == ["--config=a.py", "DIR"]
  assert overrides == ["seed=1", "optim.lr=0.5"]


@pytest.mark.parametrize("returned, code", [(None, 0), (0, 0), (1, 1)])
def test_the_exit_code_is_that_of_the_tool(returned, code):
  assert cli.run(lambda: returned) == code


def test_a_mistake_is_a_screen_and_two(capsys):
  def fail():
    raise errors.UserError("seen", "expected", "mend it", "some.key")

  assert cli.run(fail) == 2
  shown = capsys.readouterr()
  assert "some.key" in shown.err and "mend it" in shown.err and not shown.out


def test_other_errors_keep_their_traceback():
  with pytest.raises(ZeroDivisionError):
    cli.run(lambda: 1 // 0)


@pytest.mark.parametrize(
  ("check", "given", "says"),
  [
    (lambda *two: cli.check_least(*two, "codes"), {"codes": 0}, "--codes: 1"),
    (cli.check_npz, {"out": pathlib.Path("a.npy")}, "a.npy does not end"),
    (
      lambda *two: cli.check_folders(*two, "images", "masks"),
      {"images": pathlib.Path("/"), "masks": pathlib.Path("nowhere")},
      "--masks: no folder nowhere",
    ),
  ],
)
def test_arguments_that_cannot_be_end_as_those_of_argparse(
  check, given, says, capsys
):
  with pytest.raises(SystemExit) as e:
    check(argparse.ArgumentParser(), argparse.Namespace(**given))
  assert e.value.code == 2 and says in capsys.readouterr().err


def test_arguments_that_can_be_pass():
  parser = argparse.ArgumentParser()
  args = argparse.Namespace(
    codes=1, out=pathlib.Path("a.npz"), images=pathlib.Path("/"), masks=None
  )
  cli.check_least(parser, args, "codes")
  cli.check_npz(parser, args)
  cli.check_folders(parser, args, "images", "masks")
