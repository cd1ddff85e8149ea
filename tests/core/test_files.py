"""Records appended and files replaced, wholly or not at all."""

import errno
import pathlib

import pytest

from jmim.core import errors
from jmim.core import files


class Full:
  """A file that takes `room` more bytes."""

  def __init__(self, file, room):
    self._file, self.room = file, room

  def write(self, data):
    if not self.room:
      raise OSError(errno.ENOSPC, "no space")
    taken = self._file.write(data[: self.room])
    self.room -= taken
    return taken

  def __getattr__(self, name):
    return getattr(self._file, name)


@pytest.mark.parametrize("room", range(12))
def test_a_record_is_there_wholly_or_not_at_all(tmp_path, room):
  made = files.Appender(tmp_path / "log")
  made.add([b"first\n"])
  real = made._file
  made._file = Full(real, room)
  try:
    made.add([b"second\n", b"third\n"])
  except OSError as e:
    assert e.errno == errno.ENOSPC
  shown = made.path.read_bytes()
  assert shown == (b"first\n" if room < 7 else b"first\nsecond\n")
  made._file = real
  made.add([b"fourth\n"])
  made.close()
  assert made.path.read_bytes() == b"first\nsecond\nthird\nfourth\n"


def test_a_folder_that_is_gone_is_noticed_and_may_come_back(tmp_path):
  folder = tmp_path / "run"
  folder.mkdir()
  made = files.Appender(folder / "log")
  made.add([b"a\n"])
  folder.rename(tmp_path / "away")
  with pytest.raises(FileNotFoundError):
    made.add([b"b\n"])
  (tmp_path / "away").rename(folder)
  made.add([b"c\n"])
  made.close()
  assert (folder / "log").read_bytes() == b"a\nb\nc\n"


def test_replacing_fails_without_harm(tmp_path, monkeypatch):
  path = tmp_path / "config.json"
  files.replace(path, "old")

  def full(*args):
    raise OSError(errno.ENOSPC, "no space")

  monkeypatch.setattr(files.os, "fsync", full)
  with pytest.raises(OSError, match="no space"):
    files.replace(path, "new")
  assert path.read_text() == "old"
  assert [p.name for p in pathlib.Path(tmp_path).iterdir()] == ["config.json"]


def test_a_folder_that_can_be_made_passes_and_is_not_made(tmp_path):
  files.check_writable(tmp_path, "--out")
  files.check_writable(tmp_path / "a" / "b", "--out")
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_is_no_folder_to_write_into(tmp_path, below):
  (tmp_path / "file").touch()
  with pytest.raises(errors.UserError) as e:
    files.check_writable(tmp_path / "file" / below, "--out")
  assert e.value.key == "--out" and str(tmp_path / "file") in e.value.seen


@pytest.mark.parametrize("name", ("x" * 300, "file/below"))
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, name):
  (tmp_path / "file").write_text("", encoding="utf-8")
  with pytest.raises(errors.UserError, match="another place"):
    files.check_writable(tmp_path / name, "--workdir")
