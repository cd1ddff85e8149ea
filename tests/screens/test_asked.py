import pytest

import jmim
from jmim.core import errors
from jmim.screens import asked as screens
from jmim.screens import catalogue
from jmim.screens import completion


def asked(*words):
  return screens.screen(["jmim", *words], "about jmim")


def test_each_flag_has_its_screen():
  assert asked("--help").startswith("about jmim")
  recipe = "--config=mae_digits"
  for words in (["--help", recipe], [*recipe.split("="), "--help"]):
    assert asked(*words) == catalogue.recipe("mae_digits")
  assert asked("--version").startswith(f"jmim {jmim.__version__}")
  assert asked("--list=mdm_") == asked("--list", "mdm_")
  assert asked("--list", "mdm_").startswith("mdm_markov")
  assert asked("--completion=bash") == completion.script("bash")


def test_a_run_has_none():
  assert asked("--config=mae_digits", "--workdir=runs/help") == ""
  assert asked() == ""


def test_another_shell_is_an_error():
  with pytest.raises(errors.UserError, match="--completion=fish"):
    asked("--completion=fish")


def test_the_doctor_is_a_mode_with_a_short_name():
  assert screens.words(["jmim", "doctor", "--workdir=w"]) == [
    "jmim",
    "--mode=doctor",
    "--workdir=w",
  ]
  assert screens.words(["jmim", "--workdir=doctor"]) == [
    "jmim",
    "--workdir=doctor",
  ]
