import pathlib

import numpy as np
import pytest
from sklearn import datasets
from sklearn import linear_model
from sklearn import neighbors

from jmim.data import decode
from jmim.data import sources
from jmim.data.builders import digits


def _examples(config, split, root, count=None):
  source = sources.build(f"digits/{config}", split, root)
  return source.__getitems__(list(range(len(source)))[:count])


def _read(config, split, root, channels, count=None):
  examples = _examples(config, split, root, count)
  images = np.stack([decode.decode(e["image"], channels) for e in examples])
  labels = np.array([e["label"] for e in examples])
  return images, labels, np.array([e["source_id"] for e in examples])


def test_two_processes_left_one_complete_copy(digits_dir):
  files = {
    path.relative_to(digits_dir).as_posix()
    for path in pathlib.Path(digits_dir).rglob("*")
    if path.is_file()
  }
  kept = ["dataset_info.json", "features.json"]
  kept += [f"digits-{s}.array_record-00000-of-00001" for s in ("train", "test")]
  expected = {
    f"digits/{c}/1.0.0/{f}" for c in ("plain", "scattered") for f in kept
  }
  assert files == expected


def test_plain_is_the_scans_themselves(digits_dir):
  scans = datasets.load_digits()
  seen = []
  for split in ("train", "test"):
    images, labels, ids = _read("plain", split, digits_dir, 1)
    expected = np.rint(scans.images[ids] * 255 / 16)
    np.testing.assert_array_equal(images[..., 0], expected)
    np.testing.assert_array_equal(labels, scans.target[ids])
    seen.extend(ids)
  assert sorted(seen) == list(range(1797))


def test_low_and_high_are_the_scans_of_five_digits_each(tmp_path):
  scans, seen = datasets.load_digits(), {}
  for config, first in (("low", 0), ("high", 5)):
    for split in ("train", "test"):
      images, labels, ids = _read(config, split, str(tmp_path), 1)
      assert set(labels) == set(range(5))
      np.testing.assert_array_equal(labels + first, scans.target[ids])
      expected = np.rint(scans.images[ids] * 255 / 16)
      np.testing.assert_array_equal(images[..., 0], expected)
      assert set(ids) <= set(digits.source_ids(split))
      seen.setdefault(split, []).extend(ids)
    source = sources.build(f"digits/{config}", "test", str(tmp_path))
    assert source.num_classes == 5
    assert source.classes == tuple(str(first + k) for k in range(5))
  # Together they are all scans of a split, each once.
  for split, ids in seen.items():
    np.testing.assert_array_equal(sorted(ids), digits.source_ids(split))


def test_no_scan_is_in_both_splits(digits_dir):
  ids = {}
  for split, copies in (("train", 8), ("test", 2)):
    examples = _examples("scattered", split, digits_dir)
    found = [example["source_id"] for example in examples]
    ids[split], counts = np.unique(found, return_counts=True)
    assert (counts == copies).all()
    np.testing.assert_array_equal(ids[split], digits.source_ids(split))
  assert len(ids["train"]) == 1397 and len(ids["test"]) == 400
  assert not set(ids["train"]) & set(ids["test"])


def test_what_is_stored_can_be_made_again(digits_dir):
  scans = datasets.load_digits()
  images, labels, ids = _read("scattered", "test", digits_dir, 3)
  np.testing.assert_array_equal(labels, scans.target[ids])
  for source in digits.source_ids("test")[::40]:
    scan = np.rint(scans.images[source] * 255 / 16).astype(np.uint8)
    made = [
      digits.scatter(scan, 32, digits._rng("test", source, k)) for k in (0, 1)
    ]
    stored = images[ids == source]
    assert sorted(map(bytes, made)) == sorted(map(bytes, stored))


def test_the_digit_is_whole_bright_and_anywhere():
  scan = np.full((8, 8), 255, np.uint8)
  corners = set()
  for seed in range(600):
    image = digits.scatter(scan, 32, np.random.default_rng(seed))
    ink = image.min(-1) > 150
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert len(rows) == len(columns) == 16 and ink.sum() == 256
    assert image[~ink].max() < 150
    corners.add((rows[0], columns[0]))
  for axis in zip(*corners, strict=True):
    assert set(axis) == set(range(17))


def test_position_defeats_a_linear_classifier(digits_dir):
  scores = {}
  for config, channels in (("plain", 1), ("scattered", 3)):
    x, y, _ = _read(
      config, "train", root=digits_dir, channels=channels, count=2000
    )
    x = x.reshape(len(x), -1) / 255
    model = linear_model.RidgeClassifier(100.0 if config != "plain" else 1.0)
    images, labels, _ = _read(config, "test", digits_dir, channels)
    flat = images.reshape(len(images), -1) / 255
    scores[config] = model.fit(x, y).score(flat, labels)
  assert scores["plain"] > 0.9 and scores["scattered"] < 0.35


@pytest.mark.slow
def test_scattered_can_be_learned(digits_dir):
  x, y, _ = _read("scattered", "train", digits_dir, 1)
  images, labels, _ = _read("scattered", "test", digits_dir, 1)
  model = neighbors.KNeighborsClassifier(5).fit(x.reshape(len(x), -1), y)
  assert model.score(images.reshape(len(images), -1), labels) > 0.6
