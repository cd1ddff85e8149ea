import numpy as np
import pytest

from jmim.core import errors
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import splits


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "train").mkdir()
  (tmp_path / "train" / "b.txt").write_text("zweiter", "utf-8")
  (tmp_path / "train" / "a.txt").write_text("größe", "utf-8")
  (tmp_path / "test.txt").write_text("größer als x", "utf-8")
  np.save(tmp_path / "test.npy", np.arange(10, dtype=np.uint16))
  return str(tmp_path)


def read(name, split, folder):
  source = sources.build(name, split, folder)
  return source, [source[i]["tokens"] for i in range(len(source))]


def test_bytes_are_cut_into_pieces(folder):
  source, rows = read("text/byte:5", "train", folder)
  whole = "größe\nzweiter".encode()
  assert len(rows) == len(whole) // 5 == 3
  assert np.concatenate(rows).astype(np.uint8).tobytes() == whole[:15]
  assert rows[0].dtype == np.int32 and source.num_classes is None
  assert source.text(rows[1]) == whole[5:10].decode(errors="replace")
  _, test = read("text/byte:5", "test", folder)
  assert bytes(test[0].tolist()) == "größer".encode()[:5]


def test_characters_are_those_of_the_train_split(folder):
  source, rows = read("text/char:6", "test", folder)
  alphabet = sorted(set("größe\nzweiter"))
  want = [alphabet.index(c) + 1 if c in alphabet else 0 for c in "größer als x"]
  np.testing.assert_array_equal(np.concatenate(rows), want)
  assert source.text(rows[0]) == "größer" and 0 in want
  _, train = read("text/char:13", "train", folder)
  assert source.text(train[0]) == "größe\nzweiter"


def test_ids_are_mapped_not_read(folder):
  source, rows = read("text/ids:4", "test", folder)
  np.testing.assert_array_equal(rows, [[0, 1, 2, 3], [4, 5, 6, 7]])
  assert source.text(rows[1]) == "4 5 6 7" and "from 4" in source.name(1)


@pytest.mark.parametrize(
  ("name", "split", "part"),
  [
    ("text/word:5", "test", "text/word"),
    ("text/byte:0", "test", "byte:0"),
    ("text/byte:99", "test", "14 tokens"),
    ("text/ids:4", "train", "train.npy"),
    ("text/char:4", "val", "val.txt"),
  ],
)
def test_what_is_wrong_is_named(folder, name, split, part):
  with pytest.raises(errors.UserError, match=part):
    sources.build(name, split, folder)


def test_batches_of_tokens(folder):
  source = sources.build("text/byte:3", "test", folder)
  spec = pipeline.Spec(batch=2, size=1)
  stream = pipeline.training_batches(source, spec)
  batch = next(stream)
  stream.close()
  assert batch["tokens"].shape == (2, 3) and batch["tokens"].dtype == np.int32
  np.testing.assert_array_equal(
    batch["tokens"], [source[i]["tokens"] for i in batch["index"]]
  )


def test_characters_are_those_of_the_split_trained_on(tmp_path):
  (tmp_path / "learn.txt").write_text("abcd", "utf-8")
  (tmp_path / "check.txt").write_text("dxab", "utf-8")
  open_ = lambda split, **how: sources.build(
    "text/char:4", split, str(tmp_path), **how
  )
  trained = open_("learn", trained_on=True)
  for like in (trained, splits.Subset(trained, [0])):
    test = open_("check", like=like)
    assert test[0]["tokens"].tolist() == [4, 0, 1, 2]
    assert test.text(test[0]["tokens"])[:1] == "d"


def test_what_systems_leave_among_texts_is_not_read(tmp_path):
  for name in ("a.txt", "._a.txt", "__MACOSX/a.txt", ".x/b.txt", "c/d.txt"):
    path = tmp_path / "train" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("good" if path.stem in "ad" and "_" not in name else "bad!")
  _, rows = read("text/byte:9", "train", str(tmp_path))
  assert bytes(rows[0].tolist()) == b"good\ngood" and len(rows) == 1


def test_a_training_text_without_a_character(tmp_path):
  (tmp_path / "train.txt").write_text("")
  (tmp_path / "test.txt").write_text("abcd")
  _, rows = read("text/char:4", "test", str(tmp_path))
  assert rows[0].tolist() == [0, 0, 0, 0]
  with pytest.raises(errors.UserError, match="0 tokens"):
    read("text/char:4", "train", str(tmp_path))


def test_slices_are_of_pieces(folder):
  source, rows = read("text/ids:3", "test[1:3]", folder)
  assert [r.tolist() for r in rows] == [[3, 4, 5], [6, 7, 8]]
  assert "tokens from 3" in source.name(0)


@pytest.mark.parametrize(
  "ids",
  [np.zeros((4, 4), int), np.zeros(9), np.array([None] * 9), b"", b"text"],
  ids=["2-D", "floats", "objects", "no bytes", "text"],
)
def test_ids_are_one_line_of_integers(tmp_path, ids):
  path = tmp_path / "train.npy"
  path.write_bytes(ids) if isinstance(ids, bytes) else np.save(path, ids)
  with pytest.raises(errors.UserError, match="train.npy") as caught:
    read("text/ids:3", "train", str(tmp_path))
  assert caught.value.key == "data.data_dir"


@pytest.mark.parametrize("odd", [2**32 + 1, -(2**40)])
def test_ids_that_are_no_int32_do_not_become_others(tmp_path, odd):
  np.save(tmp_path / "train.npy", np.array([0, 1, 2, odd]))
  source = sources.build("text/ids:2", "train", str(tmp_path))
  assert source[0]["tokens"].tolist() == [0, 1]
  assert source[1]["tokens"].tolist() == [2, odd]
  spec = pipeline.Spec(batch=2, size=1, threads=0, reads=(("tokens", 3),))
  with pytest.raises(errors.UserError, match="tokens"):
    next(pipeline.training_batches(source, spec))
