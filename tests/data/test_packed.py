"""Archives of others: what is read of them, and no more."""

import gzip
import io
import tarfile

import pytest

from jmim.core import errors
from jmim.data import packed


@pytest.fixture(params=["a.tar", "a.tar.gz"])
def path(tmp_path, request):
  """A tar, packed or not, with a file of 2000 bytes and a link."""
  path = tmp_path / request.param
  with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
    info = tarfile.TarInfo("d/x")
    info.size = 2000
    tar.addfile(info, io.BytesIO(b"x" * 2000))
    link = tarfile.TarInfo("l")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    tar.addfile(link)
  return path


def test_members_are_read_packed_or_not(path, monkeypatch):
  assert packed.names(path) == ["d/x", "l"]
  assert packed.member(path, "d/x") == b"x" * 2000
  with pytest.raises(errors.UserError, match=r"a.tar.*'l' is no plain file"):
    packed.member(path, "l")
  monkeypatch.setattr(packed, "LARGEST", 1999)
  with pytest.raises(errors.UserError, match="'d/x' has 2000 bytes"):
    packed.member(path, "d/x")


def test_what_is_packed_is_unpacked_to_a_limit(tmp_path, monkeypatch):
  path = tmp_path / "x.gz"
  path.write_bytes(gzip.compress(bytes(10**4)))
  reads = {
    "all": lambda file: file.read(),
    "many": lambda file: file.read(10**5),
    "in turn": lambda file: [file.read(3000) for _ in range(5)],
    "far": lambda file: file.seek(10**4 - 1),
  }
  for read in reads.values():
    monkeypatch.setattr(packed, "MOST", 10**4)
    with packed.opened(path) as file:
      read(file)
    monkeypatch.setattr(packed, "MOST", 9000)
    with pytest.raises(errors.UserError, match="larger than 9000 bytes"):
      with packed.opened(path) as file:
        read(file)


def test_a_sparse_member_may_claim_any_size(tmp_path):
  info = tarfile.TarInfo("x")
  head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
  head[156:157] = tarfile.GNUTYPE_SPARSE
  head[483:495] = b"77777777777\0"  # 8 GiB, of which nothing is stored
  head[148:156] = b" " * 8
  head[148:156] = b"%06o\0 " % sum(head)
  path = tmp_path / "a.tar"
  path.write_bytes(bytes(head) + bytes(1024))
  with packed.tar(path) as archive:
    assert archive.getmember("x").issparse()
  for limit in (packed.LARGEST, 2**40):
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(packed, "LARGEST", limit)
      with pytest.raises(errors.UserError, match="'x' "):
        packed.member(path, "x")


@pytest.mark.parametrize(
  "data", [b"", b"\x1f\x8b\x08 not whole", b"\x1f\x8b", b"no tar" * 200]
)
def test_damage_is_one_message_with_the_path(tmp_path, data):
  path = tmp_path / "a.tar.gz"
  path.write_bytes(data)
  with pytest.raises(errors.UserError, match=r"a\.tar\.gz: ") as caught:
    packed.names(path)
  assert caught.value.key == "ARCHIVE"
  path.unlink()
  with pytest.raises(errors.UserError, match="No such file"):
    packed.names(path)


def test_what_the_body_finds_is_damage_and_what_it_says_stays(tmp_path):
  with pytest.raises(errors.UserError, match="x: KeyError"):
    with packed.sound(tmp_path / "x"):
      {}["a"]
  told = errors.UserError("seen", "expected", "fix")
  with pytest.raises(errors.UserError) as caught, packed.sound(tmp_path):
    raise told
  assert caught.value is told
