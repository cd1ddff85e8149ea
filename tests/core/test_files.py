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


@pytest.mark.parametrize("name", ("gs://bucket/run", "s3://a", "file:///a"))
def test_a_bucket_is_no_folder_of_that_name(name):
  with pytest.raises(errors.UserError, match="a bucket or an address") as e:
    files.check_writable(pathlib.Path(name), "--workdir")
  assert e.value.key == "--workdir"


def test_a_colon_in_a_name_is_no_bucket(tmp_path):
  for name in ("a:b/run", "run/gs:", tmp_path / "gs:", ""):
    files.check_writable(pathlib.Path(name), "--workdir")


@pytest.mark.parametrize("name", ("x" * 300, "file/below"))
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, name):
  (tmp_path / "file").write_text("", encoding="utf-8")
  with pytest.raises(errors.UserError, match="another place"):
    files.check_writable(tmp_path / name, "--workdir")


@pytest.mark.parametrize(
  "text, says",
  [
    ("[1]", "a list"),
    ("{", "Expecting"),
    ("", "Expecting"),
    ("[" * 10**6, "recursion"),
    ("\udcff", "codec"),
    ('{"a": "' + "x" * 100 + '"}', "more than 99 bytes"),
  ],
)
def test_what_is_no_object_of_json_is_named(tmp_path, monkeypatch, text, says):
  path = tmp_path / "a.json"
  path.write_text(text, encoding="utf-8", errors="surrogateescape")
  if "99" in says:
    monkeypatch.setattr(files, "_MOST_JSON", 99)
  with pytest.raises(errors.UserError, match=f"a.json: .*{says}") as caught:
    files.read_object(path, "some.key")
  assert caught.value.key == "some.key"


def test_an_object_of_json_is_read(tmp_path):
  (tmp_path / "a.json").write_text('{"a": [1]}')
  assert files.read_object(tmp_path / "a.json", None) == {"a": [1]}
  with pytest.raises(errors.UserError, match="b.json"):
    files.read_object(tmp_path / "b.json", None)
