"""Folders of images: their classes, and what is left out of them."""

import logging
import os

import pytest

from jmim.core import errors
from jmim.data import folder_source
from jmim.data import sources
from jmim.data import splits


def _touch(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(str(name).encode())


def _open(folder, split="train", **how):
  return sources.build("folder", split, str(folder), **how)


def _names(source):
  return [source[i]["image"].decode() for i in range(len(source))]


def _labels(source):
  return [source[i]["label"] for i in range(len(source))]


def test_sub_folders_are_classes_in_sorted_order(tmp_path):
  _touch(tmp_path, "dog/b.JPG", "dog/a.png", "cat/x.jpeg", "eel/deep/y.webp")
  _touch(tmp_path, "dog/notes.txt", ".cache/z.jpg", "cat/._x.jpeg", "readme.md")
  source = _open(tmp_path)
  assert source.classes == ("cat", "dog", "eel") and source.num_classes == 3
  assert _names(source) == [
    "cat/x.jpeg",
    "dog/a.png",
    "dog/b.JPG",
    "eel/deep/y.webp",
  ]
  assert _labels(source) == source.labels().tolist() == [0, 1, 1, 2]
  assert source.name(1) == str(tmp_path / "dog/a.png")


def test_a_flat_folder_has_no_labels(tmp_path):
  _touch(tmp_path, "b.bmp", "a.jpg")
  source = _open(tmp_path)
  assert _names(source) == ["a.jpg", "b.bmp"]
  assert source.num_classes is None and "label" not in source[0]
  assert source.labels() is None


def test_the_split_is_a_sub_folder_if_there_is_one(tmp_path):
  _touch(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png")
  assert _names(_open(tmp_path)) == ["train/a/1.png", "train/b/2.png"]
  assert _names(_open(tmp_path, "val")) == ["val/a/3.png"]


@pytest.mark.parametrize("lacking, label", [("cat", 1), ("dog", 0)])
def test_all_splits_have_the_classes_of_train(tmp_path, lacking, label):
  kept = {"cat": "dog", "dog": "cat"}[lacking]
  _touch(tmp_path, "train/cat/1.png", "train/dog/2.png", "train/eel/3.png")
  _touch(tmp_path, f"test/{kept}/4.png", "test/eel/5.png")
  (tmp_path / "test" / lacking).mkdir()  # a class without images there
  test = _open(tmp_path, "test")
  assert test.classes == ("cat", "dog", "eel") and test.num_classes == 3
  assert _labels(test) == [label, 2]


def test_the_split_trained_on_may_have_another_name(tmp_path):
  _touch(tmp_path, "a/cat/1.png", "a/dog/2.png", "b/dog/3.png")
  trained = _open(tmp_path, "a", trained_on=True)
  assert _labels(_open(tmp_path, "b", like=trained)) == [1]
  part = splits.Subset(trained, [0])
  assert _labels(_open(tmp_path, "b", like=part)) == [1]
  # Nothing says here what belongs to what.
  assert _labels(_open(tmp_path, "b")) == [0]
  # Whatever lies there under the name "train".
  _touch(tmp_path, "train/ant/1.png", "train/cat/1.png", "train/dog/1.png")
  assert _open(tmp_path, "a", trained_on=True).classes == ("cat", "dog")


def test_a_class_that_only_the_test_split_has_is_told(tmp_path):
  _touch(tmp_path, "train/cat/1.png", "train/dog/2.png")
  _touch(tmp_path, "test/cat/3.png", "test/Dog/4.png")
  with pytest.raises(errors.UserError, match="1 classes.*Dog") as caught:
    _open(tmp_path, "test")
  assert caught.value.key == "data.eval_split"


def test_a_missing_split_does_not_turn_the_splits_into_classes(tmp_path):
  _touch(tmp_path, "train/a/1.png", "val/a/3.png")
  with pytest.raises(errors.UserError, match="train, val") as caught:
    _open(tmp_path, "test")
  assert caught.value.key == "data.train_split"


@pytest.mark.parametrize("name", ["train/1.png", "train/steam/1.png"])
def test_a_class_named_train_is_not_taken_for_the_split(tmp_path, name):
  _touch(tmp_path, "bus/1.png", "car/1.png", name)
  with pytest.raises(errors.UserError, match="beside it is bus, car") as caught:
    _open(tmp_path, trained_on=True)
  assert caught.value.key == "data.data_dir"


def test_what_lies_beside_a_split_with_classes_is_no_matter(tmp_path):
  _touch(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png")
  _touch(tmp_path, "new/1.png", "__MACOSX/1.png")
  assert _names(_open(tmp_path)) == ["train/a/1.png", "train/b/2.png"]


def test_splits_without_classes_stand_beside_each_other(tmp_path):
  _touch(
    tmp_path, "train/1.png", "Test/2.png", "notes/readme.txt", "@eaDir/1.png"
  )
  assert _names(_open(tmp_path)) == ["train/1.png"]


def test_folders_without_images_or_with_mixed_ones(tmp_path):
  _touch(tmp_path, "mixed/a/1.png", "mixed/2.png", "texts/a.txt")
  (tmp_path / "empty").mkdir()
  for name in ("mixed", "texts", "empty", "absent"):
    with pytest.raises(errors.UserError, match=name) as caught:
      _open(tmp_path / name, "x")
    assert caught.value.key == "data.data_dir"
  with pytest.raises(errors.UserError) as caught:
    sources.build("folder", "train", "")
  assert caught.value.key == "data.data_dir"


@pytest.mark.parametrize(
  "extra",
  [
    "empty/",
    ".hidden/1.png",
    "__MACOSX/1.png",
    "lost+found/1.png",
    "@eaDir/1.png",
    "$RECYCLE.BIN/1.png",
    "notes/readme.txt",
    "anim/1.heic",
    "Ant/__MACOSX/1.png",
    "Ant/@eaDir/x/1.jpg",
  ],
)
def test_folders_that_are_no_classes(tmp_path, extra):
  _touch(tmp_path, "Ant/1.png", "zebra/2.png")
  if extra.endswith("/"):
    (tmp_path / extra).mkdir()
  else:
    _touch(tmp_path, extra)
  source = _open(tmp_path)
  assert source.classes == ("Ant", "zebra") and _labels(source) == [0, 1]


def test_what_is_left_out_is_said_once_by_name_and_number(tmp_path, caplog):
  _touch(tmp_path, "a/1.png", *(f"a/{i}.heic" for i in range(5)), "b/2.png")
  _touch(tmp_path, "b/x.AVIF", "notes/x.txt")
  with caplog.at_level(logging.WARNING):
    source = _open(tmp_path)
  (said,) = caplog.messages
  assert len(source) == 2
  for text in (
    "5 .heic (a/0.heic",
    "1 .avif (b/x.AVIF)",
    "1 sub-folders",
    "note",
  ):
    assert text in said
  caplog.clear()
  with caplog.at_level(logging.WARNING), pytest.raises(errors.UserError) as e:
    _touch(tmp_path, "only/a/1.heic")
    _open(tmp_path / "only")
  assert "1 .heic" in e.value.seen and not caplog.messages


def test_a_link_to_a_folder_above_is_not_followed_in_circles(tmp_path):
  _touch(tmp_path, "a/1.png", "b/2.png", "c/deep/3.png")
  os.symlink(tmp_path / "a", tmp_path / "a/again")
  os.symlink(tmp_path, tmp_path / "c/deep/top")
  os.symlink(tmp_path / "b", tmp_path / "linked")
  source = _open(tmp_path)
  assert source.classes == ("a", "b", "c", "linked")
  assert _labels(source) == [0, 1, 2, 3]


def test_a_slice_has_its_share_of_every_class(tmp_path):
  _touch(tmp_path, *(f"a/{i:02}.png" for i in range(20)))
  _touch(tmp_path, *(f"b/{i:02}.png" for i in range(10)))
  train, test = _open(tmp_path, "train[:80%]"), _open(tmp_path, "test[80%:]")
  assert sorted(_names(train) + _names(test)) == sorted(_names(_open(tmp_path)))
  assert _labels(train).count(0) == 16 and _labels(train).count(1) == 8
  assert train.num_classes == test.num_classes == 2
  assert splits.common(train, test) == 0
  assert len(_open(tmp_path, "[10:15]")) == 5


def test_a_new_file_leaves_the_others_on_their_side(tmp_path):
  _touch(tmp_path, *(f"a/{i:02}.png" for i in range(40)))
  before = set(_names(splits.hold_out(_open(tmp_path), 0.25)[1]))
  _touch(tmp_path, "a/00b.png")
  after = set(_names(splits.hold_out(_open(tmp_path), 0.25)[1]))
  assert len(before) == len(after) == 10 and len(before & after) >= 9


def test_a_name_with_brackets_is_no_slice_if_it_is_there(tmp_path):
  _touch(tmp_path, "train[:1]/a/1.png", "train/a/1.png", "train/a/2.png")
  assert _names(_open(tmp_path, "train[:1]")) == ["train[:1]/a/1.png"]
  assert len(_open(tmp_path, "train[:2]")) == 2


def test_a_large_folder_says_what_it_takes_while_it_is_listed(
  tmp_path, monkeypatch, caplog
):
  _touch(tmp_path, *(f"train/{c}/{i}.png" for c in "ab" for i in range(3)))
  monkeypatch.setattr(folder_source, "_MANY", 7)
  _open(tmp_path)
  assert "bytes in every process" not in caplog.text
  monkeypatch.setattr(folder_source, "_MANY", 6)
  _open(tmp_path)
  assert caplog.text.count("more than 6 files") == 1
  assert "130 bytes in every process" in caplog.text
