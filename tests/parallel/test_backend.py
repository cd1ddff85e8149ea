import pathlib

import jax
import pytest

from jmim.parallel import backend


@pytest.fixture
def updates(monkeypatch):
  """What is set in the configuration of JAX."""
  found = {}
  monkeypatch.setattr(jax.config, "update", found.__setitem__)
  monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
  return found


def test_programs_are_kept_below_the_home_of_the_user(
  updates, monkeypatch, tmp_path
):
  monkeypatch.setenv("HOME", str(tmp_path))
  backend.keep_compiled("~/.cache/programs")
  folder = updates["jax_compilation_cache_dir"]
  assert folder == str(pathlib.Path.home() / ".cache/programs")


@pytest.mark.parametrize("folder", ("~/cache", "/proc/none", "~nobody_/x"))
def test_a_folder_that_cannot_be_written_is_done_without(
  updates, monkeypatch, capsys, folder
):
  monkeypatch.setenv("HOME", "/dev/null")
  backend.keep_compiled(folder)
  assert not updates and "are not kept" in capsys.readouterr().err


def test_the_environment_wins_and_no_folder_means_none(updates, monkeypatch):
  backend.keep_compiled("")
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/mine")
  backend.keep_compiled("/theirs")
  assert not updates
