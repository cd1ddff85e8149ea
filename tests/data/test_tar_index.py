"""Members of a shard: which are images, which are labels, which are broken."""

import gzip
import io
import tarfile

import pytest

from jmim.core import errors
from jmim.data import tar_index


def _tar(*members):
  """Bytes of an archive of (name, content)."""
  file = io.BytesIO()
  with tarfile.open(fileobj=file, mode="w") as tar:
    for name, content in members:
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return file.getvalue()


@pytest.fixture
def read(tmp_path):
  """(content of the image, label) of each example of an archive."""

  def of(data):
    path = tmp_path / "train-0.tar"
    path.write_bytes(data)
    rows = tar_index.read(str(path)).rows
    return [(data[a : a + n].decode(), label) for a, n, label in rows]

  return of


@pytest.mark.parametrize(
  "name, content, label",
  [
    ("a.cls", b"7\n", "7"),
    ("a.cls", b"007", "7"),
    ("a.CLS", b"-1", "-1"),
    ("a.cls.txt", b"3", "3"),
    ("a.cls", b" tabby cat ", "tabby cat"),
    ("a.cls", b"", None),
    ("a.json", b'{"label": 3}', "3"),
    ("a.json", b'{"label": 3.0}', "3"),
    ("a.json", b'{"label": "3"}', "3"),
    ("a.json", b'{"label": "cat"}', "cat"),
    ("a.json", b'{"label": null}', None),
    ("a.json", b'{"caption": "cat"}', None),
    ("a.json", b"[1, 2]", None),
    ("a.txt", b"3", None),
    ("b.cls", b"3", None),
  ],
)
def test_labels(read, name, content, label):
  assert read(_tar(("a.png", b"A"), (name, content))) == [("A", label)]


@pytest.mark.parametrize(
  "name, content",
  [
    ("a.json", b'{"label": 1'),
    ("a.json", b"\xff\xfe"),
    ("a.cls", b"\xff\xfe"),
    ("a.json", b'{"label": [0, 1]}'),
    ("a.json", b'{"label": true}'),
    ("a.json", b'{"label": 0.5}'),
    ("a.json", b""),
  ],
)
def test_labels_that_cannot_be_read_name_shard_and_member(read, name, content):
  with pytest.raises(errors.UserError) as caught:
    read(_tar(("a.png", b"A"), (name, content)))
  assert "train-0.tar" in caught.value.seen and name in caught.value.seen


@pytest.mark.parametrize(
  "names, found",
  [
    (["0.input.png", "1.input.png", "x0.png"], [0, 1, 2]),
    (["0.seg.png", "0.PNG"], [1]),
    (["0.png", "0.seg.png", "0.txt"], [0]),
    (["a/0.jpg", "b/0.jpg", "./c/0.webp"], [0, 1, 2]),
    (["._0.png", ".x/0.png", "0.png"], [1, 2]),
    (["__MACOSX/0.png", "d/@eaDir/1.png", "d/0.png"], [2]),
    (["0.png", "0.heic"], [0]),
  ],
)
def test_which_pictures_are_examples(read, names, found):
  members = [(name, str(i).encode()) for i, name in enumerate(names)]
  assert read(_tar(*members)) == [(str(i), None) for i in found]


def test_dots_in_names_are_told_apart_by_their_labels(read):
  pictures = [("x_0.1.png", b"A"), ("x_0.2.png", b"B")]
  labels = [("x_0.1.cls", b"1"), ("x_0.2.cls", b"2")]
  assert read(_tar(*pictures, *labels)) == [("A", "1"), ("B", "2")]
  assert read(_tar(("0.in.png", b"A"), ("0.cls", b"4"))) == [("A", "4")]


@pytest.mark.parametrize(
  "names",
  [["f.1.png", "f.2.png"], ["0.in.png", "0.out.png"], ["0.png", "0.jpg"]],
)
def test_several_pictures_of_a_key_are_told(read, names):
  with pytest.raises(errors.UserError) as caught:
    read(_tar(*((name, b"x") for name in names)))
  assert all(name in caught.value.seen for name in names)


def test_two_labels_of_an_image_are_told(read):
  image = ("a.png", b"A")
  assert read(_tar(image, ("a.cls", b"1"), ("a.json", b'{"label": 1}')))
  with pytest.raises(errors.UserError, match="'2'.*'1'"):
    read(_tar(image, ("a.cls", b"1"), ("a.json", b'{"label": "2"}')))


WHOLE = _tar(*((f"{i}.png", b"x" * 700) for i in range(4)))  # 4 * 1536 bytes


@pytest.mark.parametrize(
  "data",
  [
    WHOLE[: 1536 + 100],
    WHOLE[: 512 + 100],
    WHOLE[: 3 * 1536 + 512 + 699],
    WHOLE[: 2 * 1536],
    WHOLE[:100],
    b"",
    WHOLE[:1536] + b"\x01" * 512 + WHOLE[2048:],
    WHOLE + WHOLE,
    gzip.compress(WHOLE),
    b"no archive at all" * 100,
  ],
  ids=[
    "in a header",
    "in an image",
    "in the last image",
    "between members",
    "in the first header",
    "empty",
    "damaged header",
    "two archives",
    "compressed",
    "text",
  ],
)
def test_an_archive_that_is_not_whole_is_told(read, data):
  assert len(read(WHOLE)) == 4
  with pytest.raises(errors.UserError) as caught:
    read(data)
  assert "train-0.tar" in caught.value.seen
