"""Paths that begin with `~`: made out in one way, everywhere."""

import pathlib

import pytest
import sources

import jmim
from jmim.checkpoints import frozen
from jmim.checkpoints import init_from
from jmim.convert import files
from jmim.core import errors
from jmim.core import home
from jmim.core import method
from jmim.core.settings import run as settings
from jmim.evals import fid

NOBODY = "~nobody_of_that_name/x.npz"


def test_a_path_without_a_tilde_in_front_is_as_it_was():
  for path in ("runs/~", "/a/b", pathlib.Path("c d")):
    assert home.expand(path, "--workdir") == pathlib.Path(path)


def test_the_home_of_the_environment_is_taken(monkeypatch, tmp_path):
  monkeypatch.setenv("HOME", str(tmp_path))
  assert home.expand("~/run", "--workdir") == tmp_path / "run"


@pytest.mark.parametrize(
  "use",
  [
    lambda: home.expand(NOBODY, "--workdir"),
    lambda: init_from.load(settings.InitFrom(path=NOBODY), None),
    lambda: files.read(NOBODY),
    lambda: jmim.load(NOBODY),
    lambda: fid.load(NOBODY),
    lambda: frozen.load("net", method.Const(path=NOBODY, init=dict)),
  ],
)
def test_a_home_that_is_not_there_is_one_screen(use):
  with pytest.raises(errors.UserError, match="write the path out") as caught:
    use()
  assert NOBODY in caught.value.seen


def test_there_is_one_way():
  """Path.expanduser raises a RuntimeError, which nobody catches."""
  caught = {"jmim.core.home", "jmim.parallel.backend"}
  found = {
    sources.name_of(path)
    for path in sources.FILES
    if ").expanduser(" in path.read_text()
  }
  assert found == caught
