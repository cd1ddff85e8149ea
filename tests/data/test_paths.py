"""Every source understands the same paths."""

import errno
import io
import os
import tarfile

import numpy as np
import pytest

from jmim.data import paths
from jmim.data import sources

NAMES = ("plain", "a b", "lr[3e-3]", "back\\slash", "é日本", "[!x]*?", "x~")


def _write(folder):
  """One example for each kind of source, all in one folder."""
  (folder / "train/cat").mkdir(parents=True)
  (folder / "train/cat/0.png").write_bytes(b"pixels")
  np.savez(folder / "train.npz", image=np.zeros((1, 2, 2, 3), np.uint8))
  np.save(folder / "train.npy", np.arange(4))
  (folder / "train.txt").write_text("abcd")
  with tarfile.open(folder / "train-0.tar", "w") as tar:
    info = tarfile.TarInfo("0.png")
    info.size = 6
    tar.addfile(info, io.BytesIO(b"pixels"))


@pytest.mark.parametrize("name", NAMES)
def test_every_source_opens_every_way_to_write_a_path(
  name, tmp_path, monkeypatch
):
  monkeypatch.setenv("HOME", str(tmp_path))
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
  monkeypatch.chdir(tmp_path)
  (tmp_path / name).mkdir()
  _write(tmp_path / name)
  kinds = ("folder", "tar", "array", "text/byte:4", "text/char:4", "text/ids:4")
  for kind in kinds:
    whole = sources.build(kind, "train", str(tmp_path / name))
    for given in (f"~/{name}", name, f"./{name}//", f"{tmp_path}/{name}/"):
      source = sources.build(kind, "train", given)
      assert len(source) == 1
      np.testing.assert_array_equal(source.places(), whole.places())


def test_an_unknown_user_is_a_folder_that_is_not_there():
  assert paths.expand("~nobody-of-that-name/x") == "~nobody-of-that-name/x"
  assert paths.expand("gs://bucket//x/") == "gs://bucket//x/"


def test_names_that_are_no_text_can_be_printed():
  name = os.fsdecode(b"caf\xe9")
  assert paths.printable(name) == r"caf\udce9"
  assert paths.some(["a", "b", "c", "d"]) == "a, b, c, ..."


def test_only_files_are_read(tmp_path):
  (tmp_path / "a").write_bytes(b"x")
  (tmp_path / "b").symlink_to("a")
  os.mkfifo(tmp_path / "pipe")
  (tmp_path / "zero").symlink_to("/dev/zero")
  assert paths.read(str(tmp_path / "b")) == b"x"
  for name in ("pipe", "zero"):
    with pytest.raises(OSError, match="a pipe or a device") as caught:
      paths.read(str(tmp_path / name))
    assert caught.value.errno == errno.ENXIO
  with pytest.raises(IsADirectoryError):
    paths.read(str(tmp_path))
