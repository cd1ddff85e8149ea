import subprocess
import sys

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import pipeline
from jmim.data import sources


def _touch(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(str(name).encode())


def _names(source):
  return [source[i]["image"].decode() for i in range(len(source))]


def test_sub_folders_are_classes_in_sorted_order(tmp_path):
  _touch(tmp_path, "dog/b.JPG", "dog/a.png", "cat/x.jpeg", "eel/deep/y.webp")
  _touch(tmp_path, "dog/notes.txt", ".cache/z.jpg", "cat/._x.jpeg", "readme.md")
  source = sources.build("folder", "train", str(tmp_path))
  assert source.classes == ("cat", "dog", "eel") and source.num_classes == 3
  assert _names(source) == [
    "cat/x.jpeg",
    "dog/a.png",
    "dog/b.JPG",
    "eel/deep/y.webp",
  ]
  assert [source[i]["label"] for i in range(4)] == [0, 1, 1, 2]
  assert source.name(1) == str(tmp_path / "dog/a.png")


def test_a_flat_folder_has_no_labels(tmp_path):
  _touch(tmp_path, "b.bmp", "a.jpg")
  source = sources.build("folder", "train", str(tmp_path))
  assert _names(source) == ["a.jpg", "b.bmp"]
  assert source.num_classes is None and "label" not in source[0]


def test_the_split_is_a_sub_folder_if_there_is_one(tmp_path):
  _touch(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png")
  train = sources.build("folder", "train", str(tmp_path))
  val = sources.build("folder", "val", str(tmp_path))
  assert _names(train) == ["train/a/1.png", "train/b/2.png"]
  assert _names(val) == ["val/a/3.png"] and val.num_classes == 1


def test_a_missing_split_does_not_turn_the_splits_into_classes(tmp_path):
  _touch(tmp_path, "train/a/1.png", "val/a/3.png")
  with pytest.raises(errors.UserError, match="train, val") as caught:
    sources.build("folder", "test", str(tmp_path))
  assert caught.value.key == "data.train_split"


def test_folders_without_images_or_with_mixed_ones(tmp_path):
  _touch(tmp_path, "mixed/a/1.png", "mixed/2.png", "texts/a.txt")
  (tmp_path / "empty").mkdir()
  for name in ("mixed", "texts", "empty", "absent"):
    with pytest.raises(errors.UserError, match=name) as caught:
      sources.build("folder", "x", str(tmp_path / name))
    assert caught.value.key == "data.data_dir"
  with pytest.raises(errors.UserError) as caught:
    sources.build("folder", "train", "")
  assert caught.value.key == "data.data_dir"


def test_arrays():
  arrays = {"image": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)}
  source = sources.ArraySource(arrays | {"label": [4, 1]})
  assert len(source) == 2 and source.num_classes == 5
  np.testing.assert_array_equal(source[1]["image"], arrays["image"][1])
  assert source[0]["label"] == 4
  assert sources.ArraySource(arrays).num_classes is None
  with pytest.raises(errors.UserError, match="'label': 3"):
    sources.ArraySource(arrays | {"label": [1, 2, 3]})


def test_default_dir_follows_xdg(monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert sources.default_dir() == tmp_path / "jmim/data"
  monkeypatch.delenv("XDG_CACHE_HOME")
  monkeypatch.setenv("HOME", str(tmp_path))
  assert sources.default_dir() == tmp_path / ".cache/jmim/data"


def test_importing_sources_is_cheap():
  code = (
    "import sys; from jmim.data import sources; "
    "print({'tensorflow_datasets', 'jax', 'grain', 'PIL'} & set(sys.modules))"
  )
  found = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == "set()"


def test_npz_files(tmp_path):
  images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
  np.savez(tmp_path / "train.npz", image=images, label=[3, 1])
  source = sources.build("array", "train", str(tmp_path))
  assert source.num_classes == 4
  np.testing.assert_array_equal(source[1]["image"], images[1])
  with pytest.raises(errors.UserError) as caught:
    sources.build("array", "test", str(tmp_path))
  assert caught.value.key == "data.train_split"


def test_synthetic_images_decode_and_differ():
  source = sources.build("synthetic", "train")
  assert len(source) == 512 and source.num_classes == 10
  spec = pipeline.Spec(batch=4, size=256, threads=0)
  (batch, *_) = pipeline.evaluation_batches(source, spec, limit=4)
  flat = batch["image"].reshape(4, -1)
  assert len(np.unique(flat, axis=0)) == 4 and flat.std(1).min() > 20
