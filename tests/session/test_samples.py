"""Parts of a folder of samples."""

import errno

import numpy as np
import PIL.Image
import pytest

from jmim.data import again
from jmim.session import samples


def put(folder, numbers, name=None):
  """A part with these images."""
  shape = (len(numbers), 4, 4, 3)
  rows = {"image": np.zeros(shape, np.uint8), "index": np.array(numbers)}
  if name is None:
    return samples.write(folder, rows)
  np.savez(folder / name, **rows)
  return folder / name


def test_each_part_is_another_file_with_its_picture(tmp_path):
  for numbers in ([0, 1], [5, 2], [9]):
    put(tmp_path, numbers)
  names = sorted(p.name for p in tmp_path.iterdir())
  assert names == [
    f"part_0000{i}.{kind}" for i in range(3) for kind in ("npz", "png")
  ]
  assert sorted(samples.held(tmp_path)) == [0, 1, 2, 5, 9]
  (tmp_path / "part_00001.npz").unlink()
  assert put(tmp_path, [7]).name == "part_00001.npz"  # the first free name


def test_what_is_held_twice_or_cut_is_removed(tmp_path):
  # Those of an older version: 16 at a time, then 8 over the first of them.
  put(tmp_path, range(8), "part_00000.npz")
  put(tmp_path, range(8, 16), "part_00001.npz")
  put(tmp_path, range(14, 20), "part_00002.npz")
  put(tmp_path, [30, 30], "part_00003.npz")
  (tmp_path / "part_00004.npz").write_bytes(b"PK cut")
  (tmp_path / "part_00005.tmp.npz").write_bytes(b"of a run that was killed")
  (tmp_path / "part_00002.png").write_bytes(b"")
  lines = samples.tidy(tmp_path)
  assert [x.split()[0] for x in lines] == [
    f"part_0000{i}.npz" for i in (2, 3, 4)
  ]
  assert sorted(samples.held(tmp_path)) == list(range(16))
  assert len(list(tmp_path.iterdir())) == 2
  assert samples.tidy(tmp_path) == []


@pytest.mark.parametrize("more", ({"label": np.zeros(3)}, {"index": 1}))
def test_a_part_whose_arrays_do_not_agree_is_not_whole(tmp_path, more):
  rows = {"image": np.zeros((2, 4, 4, 3)), "index": np.arange(2)}
  np.savez(tmp_path / "part_00000.npz", **(rows | more))
  assert samples.index(tmp_path / "part_00000.npz") is None


def test_tokens_are_text_too(tmp_path):
  rows = {"tokens": np.arange(6).reshape(2, 3), "index": np.arange(2)}
  path = samples.write(tmp_path, rows, lambda row: "é" * len(row) + "\n")
  text = path.with_suffix(".txt").read_text(encoding="utf-8")
  assert text == "ééé\\n\nééé\\n\n"


def test_the_grid_is_as_square_as_can_be():
  images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones(
    (5, 24, 24, 3), np.uint8
  )
  found = samples.grid(images)
  assert found.shape == (2 * 50, 3 * 50, 3)
  np.testing.assert_array_equal(found[0, [0, 50, 100], 0], [0, 1, 2])
  assert (found[50, 0] == 3).all()
  assert (found[50:, 100:] == 255).all()


def test_clips_are_rows_of_frames(tmp_path):
  video = np.zeros((3, 4, 6, 6, 3), np.uint8)
  video += np.arange(12, dtype=np.uint8).reshape(3, 4, 1, 1, 1)
  assert samples.kind(video) == "video" and samples.kind(video[0]) == "image"
  assert samples.kind(np.zeros((2, 3), np.int32)) == "tokens"
  rows = {"video": video, "index": np.arange(3)}
  path = samples.write(tmp_path, rows)
  with np.load(path) as stored:
    np.testing.assert_array_equal(stored["video"], video)
  found = samples.grid(video)
  assert found.shape == (3 * 50, 4 * 50, 3)
  np.testing.assert_array_equal(
    found[::50, ::50, 0], np.arange(12).reshape(3, 4)
  )
  shown = np.asarray(PIL.Image.open(path.with_suffix(".png")))
  np.testing.assert_array_equal(shown, found)


def test_clouds_have_a_picture_of_three_views(tmp_path):
  points = np.random.default_rng(0).normal(size=(4, 20, 3)).astype(np.float32)
  assert samples.kind(points) == "points"
  rows = {"points": points, "index": np.arange(4)}
  path = samples.write(tmp_path, rows)
  with np.load(path) as stored:
    np.testing.assert_array_equal(stored["points"], points)
  picture = PIL.Image.open(path.with_suffix(".png"))
  assert picture.size == (2 * (3 * 96 + 2), 2 * (96 + 2))


@pytest.mark.parametrize("number, times", [(errno.EIO, 2), (errno.ESTALE, 99)])
def test_a_disk_that_fails_is_no_reason_to_remove_a_part(
  tmp_path, monkeypatch, number, times
):
  """What took hours is made again only where it is cut."""
  monkeypatch.setattr(again, "PAUSES", (0, 0, 0))
  path, load, failures = put(tmp_path, [3, 4]), np.load, iter(range(times))

  def unlucky(*args, **kwargs):
    if next(failures, None) is not None:
      raise OSError(number, "bad luck")
    return load(*args, **kwargs)

  monkeypatch.setattr(np, "load", unlucky)
  if times < 4:
    assert samples.tidy(tmp_path) == []
    assert samples.held(tmp_path).tolist() == [3, 4]
  else:
    with pytest.raises(OSError, match="bad luck"):
      samples.tidy(tmp_path)
  assert path.exists() and path.with_suffix(".png").exists()


def test_the_lock_of_a_folder_is_left_alone(tmp_path):
  """Another process may be about to ask for it."""
  for name in ("lock", "lock.1234abcd.tmp"):
    (tmp_path / name).write_text("{}")
  assert samples.tidy(tmp_path) == []
  assert len(list(tmp_path.iterdir())) == 2
