import importlib.metadata
import pathlib

from jmim.core import version


def test_git_id_is_one_word():
  root = pathlib.Path(version.__file__).resolve().parents[2]
  found = version.git_id()
  assert len(found.split()) <= 1
  assert (root / ".git").exists() or found == ""


def test_the_hash_is_of_the_content_of_the_files(tmp_path, monkeypatch):
  monkeypatch.setattr(version, "_PACKAGE", tmp_path)
  (tmp_path / "a.py").write_text("x = 1\n")
  first = version.code_hash()
  (tmp_path / "a.txt").write_text("no code")
  assert version.code_hash() == first
  (tmp_path / "a.py").write_text("x = 2\n")
  assert version.code_hash() != first


def test_libraries_are_those_that_are_installed():
  found = version.libraries()
  assert found["jax"] == importlib.metadata.version("jax")
  assert {"flax", "optax", "orbax-checkpoint", "numpy"} < set(found)
