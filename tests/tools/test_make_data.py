"""Data sets that are made are read by the sources of jmim."""

import io
import tarfile

import numpy as np
import PIL.Image
import pytest

from jmim.data import sources
from jmim.tools import make_data


def picture(folder, name, value):
  folder.mkdir(parents=True, exist_ok=True)
  PIL.Image.new("RGB", (12, 7), (value, 9, 9)).save(folder / name)


@pytest.fixture
def images(tmp_path):
  """A folder with two splits; the second lacks a class."""
  root = tmp_path / "images"
  for split, classes in (("train", ("ant", "bee")), ("val", ("bee",))):
    for k, name in enumerate(classes):
      for i in range(3):
        picture(root / split / name, f"{i}.png", 50 * k + i)
  return root


def read(out, name, split):
  """{bytes of the image: label} of a split of what was made."""
  source = sources.build(name, split, str(out))
  found = [source[i] for i in range(len(source))]
  return source, {x["image"]: x["label"] for x in found}


def test_a_folder_is_kept_byte_by_byte_with_names_and_splits(
  images, tmp_path, capsys
):
  out = tmp_path / "data"
  words = ["folder", str(images), "--name=mine", f"--out={out}"]
  assert make_data.main(words) == 0
  told = capsys.readouterr().out
  assert "--config.data.name=mine" in told and "eval_split=val" in told
  for split, classes in (("train", ("ant", "bee")), ("val", ("bee",))):
    source, found = read(out, "mine", split)
    assert tuple(source.classes) == ("ant", "bee")
    want = {
      (images / split / name / f"{i}.png").read_bytes(): source.classes.index(
        name
      )
      for name in classes
      for i in range(3)
    }
    assert found == want
  assert make_data.main(words) == 2  # it is there
  assert "remove it" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("kind", "files", "splits"),
  [
    ("folder", ["train/a/1.png", "val/a/1.png"], ["train", "val"]),
    ("folder", ["valley/1.png", "testbed/1.png", "hill/1.png"], []),
    ("tar", ["train-0.tar", "train_1.tar"], ["train"]),
    ("tar", ["train-0.tar", "validation-0.tar"], ["train", "validation"]),
    ("csv", ["train.csv", "test.csv"], ["train", "test"]),
  ],
)
def test_splits_are_known_by_their_whole_names(tmp_path, kind, files, splits):
  for name in files:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
  assert make_data.splits_in(kind, tmp_path) == splits


def test_classes_with_names_like_splits_stay_classes(tmp_path):
  for k, name in enumerate(("valley", "hill")):
    picture(tmp_path / name, "0.png", k)
  archive = make_data.of_source("folder", tmp_path)
  assert archive.classes == ("hill", "valley") and [*archive.splits] == [
    "train"
  ]


def test_shards_and_arrays_have_their_labels(tmp_path):
  shards = tmp_path / "shards"
  shards.mkdir()
  with tarfile.open(shards / "train-0.tar", "w") as archive:
    for i in range(4):
      file = io.BytesIO()
      PIL.Image.new("RGB", (8, 8), (i, 0, 0)).save(file, "png")
      for end, data in (("png", file.getvalue()), ("cls", str(i % 2).encode())):
        member = tarfile.TarInfo(f"{i}.{end}")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
  out = tmp_path / "data"
  assert make_data.main(["tar", str(shards), "--name=t", f"--out={out}"]) == 0
  source, found = read(out, "t", "train")
  assert source.num_classes == 2 and sorted(found.values()) == [0, 0, 1, 1]
  arrays = tmp_path / "arrays"
  arrays.mkdir()
  grey = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8, 1)
  np.savez(arrays / "train.npz", image=grey, label=np.array([1, 0]))
  make_data.main(["array", str(arrays), "--name=a", f"--out={out}"])
  _, found = read(out, "a", "train")
  decoded = {
    label: np.asarray(PIL.Image.open(io.BytesIO(image)))
    for image, label in found.items()
  }
  np.testing.assert_array_equal(decoded[1], grey[0, ..., 0])


@pytest.mark.parametrize(
  "words, seen",
  [
    (["cifar", "x"], "kind 'cifar'"),
    (["cifar10", "nothing.tar.gz"], "no file or folder"),
    (["imagenet2012", "a.tar"], "imagenet2012 with 1 paths"),
    (["folder", "."], "folder without --name"),
  ],
)
def test_mistakes_are_one_screen(words, seen, capsys):
  assert make_data.main(words) == 2
  assert seen in capsys.readouterr().err


def test_every_archive_has_its_command_in_the_docstring():
  for kind in [*make_data.ARCHIVES, "folder", "tar"]:
    assert kind in make_data.__doc__
