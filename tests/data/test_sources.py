import subprocess
import sys

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import pipeline
from jmim.data import sources


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


def test_a_slice_of_every_source_without_files_of_its_own(tmp_path):
  np.savez(tmp_path / "train.npz", image=np.arange(10), label=np.arange(10) % 3)
  part = sources.build("array", "train[3:5]", str(tmp_path))
  assert [(x["image"], x["label"]) for x in part] == [(3, 0), (4, 1)]
  assert part.num_classes == 3
  whole = sources.build("synthetic", "train")
  part = sources.build("synthetic", "[100:103]")
  assert len(part) == 3 and part[0]["image"] == whole[100]["image"]
  assert len(sources.build("synthetic", "train[-25%:]")) == 128


@pytest.mark.parametrize(
  "content",
  [
    {},
    {"image": np.zeros((0, 2, 2, 3), np.uint8)},
    {"image": np.array([None, "x"])},
    b"no archive",
    b"",
    -100,
    60,
  ],
  ids=["nothing", "empty", "objects", "text", "no bytes", "cut", "cut early"],
)
def test_npz_files_that_hold_nothing_to_read(tmp_path, content):
  path = tmp_path / "train.npz"
  if isinstance(content, dict):
    np.savez(path, **content)
  elif isinstance(content, bytes):
    path.write_bytes(content)
  else:
    np.savez(path, image=np.zeros((4, 2, 2, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:content])
  with pytest.raises(errors.UserError) as caught:
    sources.build("array", "train", str(tmp_path))
  assert (
    caught.value.key == "data.data_dir" and "train.npz" in caught.value.seen
  )
