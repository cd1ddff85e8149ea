"""Several views, clips, pairs and repeats of one example."""

import dataclasses
import itertools
import pickle

import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import augment
from jmim.data import decode
from jmim.data import entries
from jmim.data import order
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import texts
from jmim.data import views

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
  (batch,) = _take(pipeline.training_batches(_map(), spec))
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
  batches = _take(pipeline.training_batches(_map(), spec), 2)
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
  (plain,) = _take(pipeline.training_batches(_map(), _with(batch=4)))
  np.testing.assert_array_equal(batches[0]["image"][::3], plain["image"])


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_may_part_the_repeats_of_an_example(hosts):
  spec = _with(batch=12, repeat_samples=6)
  (whole,) = _take(pipeline.training_batches(_map(), spec))
  shares = [
    _take(
      pipeline.training_batches(
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
  for batch in _take(pipeline.training_batches(_videos(), spec), 40):
    assert batch["video"].shape == (4, 4, 12, 12, 3)
    first = batch["video"][:, 0, 0, 0, 0].astype(int)
    expected = first[:, None] + 3 * np.arange(4)
    np.testing.assert_array_equal(batch["video"][:, :, 0, 0, 0], expected)
    np.testing.assert_array_equal(first // 40, batch["index"])
    starts |= set((first % 40).tolist())
  assert starts == set(range(20 - 9))
  (batch,) = pipeline.evaluation_batches(_videos(), spec)
  assert (batch["video"][:, 0, 0, 0, 0] % 40 == 5).all()


def test_a_clip_longer_than_the_video_stays_at_its_last_frame():
  spec = _with(batch=4, size=12, host_crop="none", frames=4, stride=9)
  (batch,) = _take(pipeline.training_batches(_videos(), spec))
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
  (batch,) = _take(pipeline.training_batches(pairs, _SPEC))
  assert batch["pair"].shape == (6, 2, 32, 32, 3)
  apart = np.abs(np.diff(batch["pair"][..., :2].astype(int), axis=1))
  assert apart[..., 2:-2, 2:-2, :].max() <= 3
  clips = sources.ArraySource({"video": np.stack([images, images], 1)})
  (batch,) = _take(pipeline.training_batches(clips, _with(frames=2, stride=1)))
  np.testing.assert_array_equal(batch["video"][:, 0], batch["video"][:, 1])


def test_numbers_pass_through():
  points = np.random.default_rng(0).normal(size=(6, 50, 3))
  tokens = np.arange(24).reshape(6, 4)
  source = sources.ArraySource({"points": points, "tokens": tokens})
  (batch,) = _take(pipeline.training_batches(source, _SPEC))
  index = batch["index"]
  assert batch["tokens"].dtype == np.int32
  np.testing.assert_array_equal(batch["tokens"], tokens[index])
  np.testing.assert_array_equal(batch["points"], points[index].astype("f4"))


def test_a_video_is_missed_by_name():
  with pytest.raises(errors.UserError, match="examples with image") as caught:
    next(pipeline.training_batches(_map(), _with(frames=2)))
  assert "video" in caught.value.expected


def _mapped(n=6, side=_SIDE, fraction=1):
  """`_map` with maps of the same places; one per `fraction` pixels."""
  source = _map(n)
  images = np.stack([source[i]["image"] for i in range(n)])
  y, x = np.mgrid[: side // fraction, : side // fraction]
  ids = (y * 1000 + x)[None].repeat(n, 0)
  depth = ((y + 0.5) * fraction / side)[None].repeat(n, 0)
  arrays = {"image": images, "segmentation": ids, "depth": depth}
  return sources.ArraySource(arrays)


@pytest.mark.parametrize("crop", ["center", "resized"])
@pytest.mark.parametrize("fraction", [1, 4])
def test_maps_are_cut_as_their_image_is(crop, fraction):
  source = _mapped(fraction=fraction)
  spec = _with(host_crop=crop, eval_crop="center", eval_resize=40)
  (batch,) = _take(pipeline.training_batches(source, spec))
  (held,) = pipeline.evaluation_batches(source, spec)
  for found in (batch, held):
    assert found["depth"].shape == (6, 32, 32)
    assert found["depth"].dtype == np.float32
    assert found["segmentation"].dtype == np.int32
    inner = slice(3, -3)
    # The first channel of the image says where a pixel is, in 256ths.
    shown = found["image"][..., 0][:, inner, inner] / 256
    apart = np.abs(shown - found["depth"][:, inner, inner])
    # As much as half a pixel of the map, and one of the crop.
    assert apart.max() < 0.5 * fraction / _SIDE + 1 / 32
    rows, columns = np.divmod(found["segmentation"], 1000)
    assert (rows < _SIDE // fraction).all()
    assert (columns < _SIDE // fraction).all()
    assert (np.diff(columns, axis=2) >= 0).all()


def test_repeats_cut_the_maps_of_each_sample():
  spec = _with(batch=6, repeat_samples=3)
  (batch,) = _take(pipeline.training_batches(_mapped(), spec))
  maps = batch["segmentation"].reshape(2, 3, -1)
  assert (maps[:, 0] != maps[:, 1]).any(1).all()


def test_maps_stay_as_stored_where_nothing_is_cut_or_they_show_no_image():
  whole = _with(size=_SIDE, host_crop="none")
  (batch,) = _take(pipeline.training_batches(_mapped(fraction=4), whole))
  assert batch["segmentation"].shape == (6, 40, 40)
  source = _map()
  images = np.stack([source[i]["image"] for i in range(6)])
  masks = np.zeros((6, 5, _SIDE, _SIDE), np.uint8)  # of five frames
  arrays = sources.ArraySource({"image": images, "semantic": masks})
  (batch,) = _take(pipeline.training_batches(arrays, _SPEC))
  assert batch["semantic"].shape == (6, 5, _SIDE, _SIDE)


def test_pictures_of_other_names_come_beside_the_image():
  """A new kind of picture is one line of the table."""
  source = _map()
  images = np.stack([source[i]["image"] for i in range(6)])
  more = {"image": images, "low": 255 - images, "high": images}
  (batch,) = _take(pipeline.training_batches(sources.ArraySource(more), _SPEC))
  assert batch["image"].shape == (6, 32, 32, 3)
  low, high = batch["pair"][:, 0].astype(int), batch["pair"][:, 1].astype(int)
  assert np.abs(low + high - 255).max() <= 2


def test_a_picture_may_be_added_to_the_table(monkeypatch):
  line = entries.Entry(kind=entries.PIXELS, features=("reference",))
  monkeypatch.setitem(entries.ENTRIES, "reference", line)
  monkeypatch.setitem(entries.PICTURES, "reference", line)
  monkeypatch.setattr(entries, "FEATURES", entries.FEATURES | {"reference"})
  source = _map()
  images = np.stack([source[i]["image"] for i in range(6)])
  more = {"image": images, "reference": images[::-1]}
  (batch,) = _take(pipeline.training_batches(sources.ArraySource(more), _SPEC))
  assert batch["reference"].shape == (6, 32, 32, 3)
  assert batch["reference"].dtype == np.uint8
  np.testing.assert_array_equal(
    batch["reference"][:, 16, 16, 2], 5 - batch["index"]
  )
  spec = _with(mean=(0.5,) * 3, std=(0.5,) * 3)
  ready = augment.prepare_batch(spec, batch)
  assert ready["reference"].dtype == np.float32


@pytest.mark.parametrize("crop", ["center", "squash", "resized"])
def test_rectangles_go_through_host_and_device(crop):
  """What is shown lies where it should, and both sides are as asked."""
  own = "resized" if crop == "resized" else "center"
  spec = _with(height=48, size=32, host_crop=own, eval_crop="center")
  if crop == "squash":
    spec = dataclasses.replace(spec, eval_crop="squash")
  source = _map()
  made = pipeline.evaluation_batches if crop == "squash" else None
  made = (made or pipeline.training_batches)(source, spec)
  (batch,) = _take(made)
  assert batch["image"].shape == (6, 48, 32, 3)
  y, x = (batch["image"][..., i].astype(float) for i in (0, 1))
  assert (np.diff(y, axis=1)[:, 3:-3] > 0).all()
  assert (np.diff(x, axis=2)[:, :, 3:-3] > 0).all()
  slope = lambda values, axis: np.diff(values, axis=axis).mean((1, 2))
  if crop == "center":  # not stretched: a square's middle, 48 px of 160 high
    np.testing.assert_allclose(slope(y, 1), slope(x, 2), rtol=0.02)
  if crop == "squash":
    np.testing.assert_allclose(slope(y, 1) * 48, slope(x, 2) * 32, rtol=0.05)
  spec = dataclasses.replace(spec, flip=True, device_crop="pad", pad=2)
  ready = augment.augment_batch(spec, jax.random.key(0), batch)
  assert ready["image"].shape == (6, 48, 32, 3)


@pytest.mark.parametrize("crop", ["none", "center", "resized"])
def test_a_box_is_all_that_is_read_and_maps_go_with_it(crop):
  """As if the part alone were stored: image and map, cut or not."""
  box = (3, 5, 32, 32)
  source = _mapped()
  part = lambda x: x[3:35, 5:37]
  names = ("image", "segmentation", "depth")
  arrays = {n: np.stack([part(source[i][n]) for i in range(6)]) for n in names}
  spec = _with(host_crop=crop, size=32 if crop == "none" else 16)
  read = lambda source, spec: _take(pipeline.training_batches(source, spec))[0]
  got = read(source, dataclasses.replace(spec, box=box))
  want = read(sources.ArraySource(arrays), spec)
  np.testing.assert_array_equal(got["image"], want["image"])
  for name in names[1:]:
    # A place on an edge of two pixels may be rounded to either.
    assert (got[name] != want[name]).mean() < 0.02, name


def test_a_box_beyond_the_image_is_refused():
  spec = _with(box=(150, 0, 32, 32), host_crop="center")
  with pytest.raises(errors.UserError, match="160 x 160 pixels") as caught:
    _take(pipeline.training_batches(_map(), spec))
  assert caught.value.key == "data.box"
  for box in ((1, 2, 3), (0, 0, 0, 4), (0.5, 0, 4, 4), (-1, 0, 4, 4)):
    with pytest.raises(errors.UserError, match="data.box"):
      _with(box=box)


def test_what_makes_tokens_is_made_once(monkeypatch):
  """Not for each example; and another process makes its own."""
  own, asked = texts.of, []
  monkeypatch.setattr(texts, "of", lambda data: asked.append(0) or own(data))
  spec = pipeline.Spec(
    batch=2, size=4, threads=0, tokenizer="words:scenes", text_length=6
  )
  maker = views.Maker(spec, training=False)
  make = lambda: maker({"caption": b"a cross"}, [None], "example 0")[0]
  first = make()["tokens"]
  np.testing.assert_array_equal(make()["tokens"], first)
  assert len(asked) == 1
  maker = pickle.loads(pickle.dumps(maker))
  np.testing.assert_array_equal(make()["tokens"], first)
  assert len(asked) == 2
