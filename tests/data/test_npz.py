"""What of an .npz belongs to examples."""

import logging

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import npz
from jmim.data import sources

IMAGE = np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)


def test_what_is_not_of_examples_is_left_out_and_named(tmp_path, caplog):
  ragged = np.array([[1], [1, 2], [3], []], object)
  path = tmp_path / "train.npz"
  points = np.zeros((4, 2))
  extra = dict(boxes_of=ragged, names=["cat", "dog"], version=3, points=points)
  np.savez(path, image=IMAGE, label=[0, 1, 2, 0], **extra)
  with caplog.at_level(logging.WARNING):
    source = sources.build("array", "train", str(tmp_path))
  assert "boxes_of, names, version" in caplog.text
  assert len(source) == 4 and source.num_classes == 3
  assert set(source[0]) == {"image", "label", "points"}
  np.testing.assert_array_equal(source[3]["image"], IMAGE[3])


def test_a_label_is_never_left_out_for_its_length(tmp_path):
  np.savez(tmp_path / "train.npz", image=IMAGE, label=[0, 1])
  with pytest.raises(errors.UserError, match="'label': 2"):
    sources.build("array", "train", str(tmp_path))


def test_without_a_known_name_all_are_kept(tmp_path):
  np.savez(tmp_path / "a.npz", vector=np.zeros((3, 2)), other=np.ones(3))
  assert set(npz.read(tmp_path / "a.npz")) == {"vector", "other"}


def test_pictures_that_are_objects_are_refused(tmp_path):
  images = np.empty(2, object)
  images[:] = [IMAGE[0], IMAGE[0, :1]]
  np.savez(tmp_path / "a.npz", image=images)
  with pytest.raises(errors.UserError, match="'image' holds Python objects"):
    npz.read(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK" + bytes(50)])
def test_a_file_that_is_none_is_named(tmp_path, content):
  path = tmp_path / "a.npz"
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match="a.npz cannot be read"):
    npz.read(path)


def test_a_single_array_is_no_npz(tmp_path):
  np.save(tmp_path / "a.npy", IMAGE)
  (tmp_path / "a.npy").rename(tmp_path / "a.npz")
  with pytest.raises(errors.UserError, match="a.npz cannot be read"):
    npz.read(tmp_path / "a.npz")
