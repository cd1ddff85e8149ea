"""Several views, clips, pairs and repeats of one example."""

import dataclasses
import itertools

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import order
from jmim.data import pipeline
from jmim.data import sources

_SIDE = 160


def _map(n=6):
  """Images whose first two channels say where a pixel is, in 256ths."""
  y, x = np.mgrid[:_SIDE, :_SIDE] + 0.5
  place = np.stack([y, x, 0 * x], -1) * 256 / _SIDE
  images = np.repeat(np.rint(place)[None], n, 0).clip(0, 255).astype("u1")
  images[..., 2] = np.arange(n)[:, None, None]
  return sources.ArraySource({"image": images, "label": np.arange(n)})


def _take(iterator, n=1):
  found = list(itertools.islice(iterator, n))
  iterator.close()
  return found


_SPEC = pipeline.Spec(batch=6, size=32, host_crop="resized", threads=0)


def _with(**fields):
  return dataclasses.replace(_SPEC, **fields)


def _assert_boxes_tell_the_place(images, boxes):
  """[n, s, s, 3] of `_map`, [n, 4]."""
  side = images.shape[1]
  share = (np.arange(side) + 0.5) / side
  for image, (top, left, high, wide) in zip(images, boxes, strict=True):
    inner = slice(3, -3)
    rows = (256 * (top + share * high))[inner]
    columns = (256 * (left + share * wide))[inner]
    assert np.abs(image[inner, inner, 0] - rows[:, None]).max() < 2.5
    assert np.abs(image[inner, inner, 1] - columns).max() < 2.5


@pytest.mark.parametrize("nested", [False, True])
def test_boxes_say_what_the_views_show(nested):
  spec = _with(views=3, nested=nested, local_views=2, local_size=16)
  (batch,) = _take(pipeline.train(_map(), spec))
  assert batch["views"].shape == (6, 3, 32, 32, 3)
  assert batch["locals"].shape == (6, 2, 16, 16, 3)
  for images, boxes in (("views", "boxes"), ("locals", "local_boxes")):
    flat = batch[images].reshape(-1, *batch[images].shape[2:])
    _assert_boxes_tell_the_place(flat, batch[boxes].reshape(-1, 4))
  area = batch["boxes"][..., 2] * batch["boxes"][..., 3]
  assert (area[:, 0] > 0.19).all()
  if nested:
    share = area[:, 1:] / area[:, :1]
    assert (share > 0.25).all() and (share < 0.66).all()
    low, size = batch["boxes"][..., :2], batch["boxes"][..., 2:]
    assert (low[:, 1:] >= low[:, :1] - 1e-6).all()
    assert ((low + size)[:, 1:] <= (low + size)[:, :1] + 1e-6).all()
  local = batch["local_boxes"][..., 2] * batch["local_boxes"][..., 3]
  assert (local < 0.42).all()


def test_repeats_are_new_samples_of_the_same_example():
  spec = _with(batch=12, repeat_samples=3)
  batches = _take(pipeline.train(_map(), spec), 2)
  for step, batch in enumerate(batches):
    index = batch["index"].reshape(4, 3)
    assert (index == index[:, :1]).all()
    expected = order.Order(n=6, batch=12, seed=0, repeat=3).slots(step)[1]
    np.testing.assert_array_equal(batch["index"], expected)
    crops = batch["image"].reshape(4, 3, -1)
    for a, b in ((0, 1), (0, 2), (1, 2)):
      assert (crops[:, a] != crops[:, b]).any(1).all()
  seen = np.concatenate([b["index"][::3] for b in batches])
  assert sorted(seen[:6].tolist()) == list(range(6))
  # The first sample is what there would be without repeats.
  (plain,) = _take(pipeline.train(_map(), _with(batch=4)))
  np.testing.assert_array_equal(batches[0]["image"][::3], plain["image"])


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_may_part_the_repeats_of_an_example(hosts):
  spec = _with(batch=12, repeat_samples=6)
  (whole,) = _take(pipeline.train(_map(), spec))
  shares = [
    _take(
      pipeline.train(
        _map(), spec, start_step=0, process_index=host, process_count=hosts
      )
    )[0]
    for host in range(hosts)
  ]
  for name in whole:
    joined = np.concatenate([share[name] for share in shares])
    np.testing.assert_array_equal(joined, whole[name])


def _videos(n=4, frames=20):
  shape = (n, frames, 1, 1, 1)
  number = 40 * np.arange(n).reshape(n, 1, 1, 1, 1) + np.arange(frames).reshape(
    1, frames, 1, 1, 1
  )
  video = np.broadcast_to(number.reshape(shape), (n, frames, 12, 12, 3))
  return sources.ArraySource({"video": video.astype("u1")})


def test_clips_are_frames_at_the_stride_from_a_random_start():
  spec = _with(batch=4, size=12, host_crop="none", frames=4, stride=3)
  starts = set()
  for batch in _take(pipeline.train(_videos(), spec), 40):
    assert batch["video"].shape == (4, 4, 12, 12, 3)
    first = batch["video"][:, 0, 0, 0, 0].astype(int)
    expected = first[:, None] + 3 * np.arange(4)
    np.testing.assert_array_equal(batch["video"][:, :, 0, 0, 0], expected)
    np.testing.assert_array_equal(first // 40, batch["index"])
    starts |= set((first % 40).tolist())
  assert starts == set(range(20 - 9))
  (batch,) = pipeline.evaluate(_videos(), spec)
  assert (batch["video"][:, 0, 0, 0, 0] % 40 == 5).all()


def test_a_clip_longer_than_the_video_stays_at_its_last_frame():
  spec = _with(batch=4, size=12, host_crop="none", frames=4, stride=9)
  (batch,) = _take(pipeline.train(_videos(), spec))
  np.testing.assert_array_equal(
    batch["video"][:, :, 0, 0, 0] % 40, [[0, 9, 18, 19]] * 4
  )


def test_frames_and_pairs_are_cut_alike():
  source = _map()
  small = np.stack(
    [decode.resize(source[i]["image"], 80, 80) for i in range(len(source))]
  )
  images = np.stack([source[i]["image"] for i in range(len(source))])
  pairs = sources.ArraySource({"high": images, "low": small})
  (batch,) = _take(pipeline.train(pairs, _SPEC))
  assert batch["pair"].shape == (6, 2, 32, 32, 3)
  apart = np.abs(np.diff(batch["pair"][..., :2].astype(int), axis=1))
  assert apart[..., 2:-2, 2:-2, :].max() <= 3
  clips = sources.ArraySource({"video": np.stack([images, images], 1)})
  (batch,) = _take(pipeline.train(clips, _with(frames=2, stride=1)))
  np.testing.assert_array_equal(batch["video"][:, 0], batch["video"][:, 1])


def test_numbers_pass_through():
  points = np.random.default_rng(0).normal(size=(6, 50, 3))
  tokens = np.arange(24).reshape(6, 4)
  source = sources.ArraySource({"points": points, "tokens": tokens})
  (batch,) = _take(pipeline.train(source, _SPEC))
  index = batch["index"]
  assert batch["tokens"].dtype == np.int32
  np.testing.assert_array_equal(batch["tokens"], tokens[index])
  np.testing.assert_array_equal(batch["points"], points[index].astype("f4"))


def test_a_video_is_missed_by_name():
  with pytest.raises(errors.UserError, match="examples with image") as caught:
    next(pipeline.train(_map(), _with(frames=2)))
  assert "video" in caught.value.expected
