import dataclasses
import io
import itertools
import logging

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from jmim.core import errors
from jmim.data import order
from jmim.data import pipeline
from jmim.data import sources

_N = 23


def _source(n=_N, shape=(6, 6, 3), label=True):
  """Example i: an image full of i; label 2 i."""
  images = np.broadcast_to(
    np.arange(n, dtype=np.uint8)[:, None, None, None], (n, *shape)
  )
  return sources.ArraySource(
    {"image": images} | ({"label": 2 * np.arange(n)} if label else {})
  )


def _noise_source():
  """Encoded images of different sizes, in which every crop differs."""
  rng = np.random.default_rng(0)
  files = []
  for i in range(_N):
    file = io.BytesIO()
    image = rng.integers(0, 256, (20 + i, 30, 3), np.uint8)
    Image.fromarray(image).save(file, "png")
    files.append(file.getvalue())
  return sources.ArraySource({"image": files, "label": np.arange(_N)})


def _take(iterator, n):
  batches = list(itertools.islice(iterator, n))
  iterator.close()
  return batches


def _assert_same(left, right):
  assert len(left) == len(right)
  for a, b in zip(left, right, strict=True):
    assert a.keys() == b.keys()
    for key in a:
      np.testing.assert_array_equal(a[key], b[key], err_msg=key)
      assert a[key].dtype == b[key].dtype


def _join(batches):
  """The global batches from the shares of all hosts."""
  return [
    {key: np.concatenate([share[key] for share in shares]) for key in shares[0]}
    for shares in zip(*batches, strict=True)
  ]


_SPEC = pipeline.Spec(batch=8, size=16, host_crop="resized", seed=3, threads=1)


def _with(**fields):
  return dataclasses.replace(_SPEC, **fields)


def test_train_follows_the_order_and_keeps_pairs_together():
  spec = pipeline.Spec(batch=10, size=6, seed=5, threads=2)
  stream = order.Order(n=_N, batch=10, seed=5)
  for step, batch in enumerate(
    _take(pipeline.training_batches(_source(), spec), 7)
  ):
    index = stream.slots(step)[1]
    np.testing.assert_array_equal(batch["index"], index)
    np.testing.assert_array_equal(batch["label"], 2 * index)
    expected = np.broadcast_to(index[:, None, None, None], (10, 6, 6, 3))
    np.testing.assert_array_equal(batch["image"], expected)
    assert batch["image"].dtype == np.uint8
    assert batch["index"].dtype == batch["label"].dtype == np.int32


def test_no_label_unless_the_source_has_some():
  spec = pipeline.Spec(batch=4, size=6)
  (batch,) = _take(pipeline.training_batches(_source(label=False), spec), 1)
  assert batch.keys() == {"image", "index"}


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_the_same_global_batches(hosts):
  source = _noise_source()
  whole = _take(pipeline.training_batches(source, _SPEC), 5)
  shares = [
    _take(
      pipeline.training_batches(
        source, _SPEC, start_step=0, process_index=host, process_count=hosts
      ),
      5,
    )
    for host in range(hosts)
  ]
  _assert_same(_join(shares), whole)


@hypothesis.given(st.integers(0, 8))
@hypothesis.settings(max_examples=9, deadline=None)
def test_resuming_equals_continuing(start):
  source = _noise_source()
  whole = _take(pipeline.training_batches(source, _SPEC), 10)
  _assert_same(
    _take(
      pipeline.training_batches(source, _SPEC, start_step=start), 10 - start
    ),
    whole[start:],
  )


def test_starting_far_away_replays_nothing():
  step = 10**9
  (batch,) = _take(pipeline.training_batches(_source(), _with(size=6), step), 1)
  expected = order.Order(n=_N, batch=8, seed=3).slots(step)[1]
  np.testing.assert_array_equal(batch["index"], expected)


@pytest.mark.parametrize("threads", [0, 3])
def test_threads_change_nothing(threads):
  source = _noise_source()
  one = _take(pipeline.training_batches(source, _SPEC), 9)
  _assert_same(
    _take(pipeline.training_batches(source, _with(threads=threads)), 9), one
  )


def _views(spec, steps):
  """(epoch, index) -> image."""
  stream, views = order.Order(n=_N, batch=spec.batch, seed=spec.seed), {}
  for step, batch in enumerate(
    _take(pipeline.training_batches(_noise_source(), spec), steps)
  ):
    epoch, index = (part.tolist() for part in stream.slots(step))
    keys = zip(epoch, index, strict=True)
    views.update(zip(keys, batch["image"], strict=True))
  return views


def test_a_view_depends_on_seed_epoch_and_example_only():
  small, large = _views(_SPEC, 8), _views(_with(batch=16), 4)
  assert small.keys() == large.keys()
  for key in small:
    np.testing.assert_array_equal(small[key], large[key])
  for index in range(_N):
    assert (small[0, index] != small[1, index]).any()
  other = _views(_with(seed=4), 3)
  assert all((small[0, i] != other[0, i]).any() for i in range(_N))


@pytest.mark.parametrize("hosts", [1, 2, 4])
@pytest.mark.parametrize("n", [1, 8, 23, 24])
def test_evaluate_visits_each_once_in_order(hosts, n):
  spec = pipeline.Spec(batch=8, size=6, threads=2)
  shares = [
    list(
      pipeline.evaluation_batches(
        _source(n), spec, limit=None, process_index=host, process_count=hosts
      )
    )
    for host in range(hosts)
  ]
  batches = _join(shares)
  assert len(batches) == -(-n // 8)
  found = {key: np.concatenate([b[key] for b in batches]) for key in batches[0]}
  valid = found["valid"]
  assert valid.dtype == bool and valid.sum() == n and valid[:n].all()
  np.testing.assert_array_equal(found["index"][:n], np.arange(n))
  np.testing.assert_array_equal(found["label"][:n], 2 * np.arange(n))
  np.testing.assert_array_equal(found["image"][:n, 0, 0, 0], np.arange(n))
  assert (found["index"][n:] == -1).all() and (found["image"][n:] == 0).all()


def test_a_limited_evaluation_takes_a_fixed_random_part():
  spec = pipeline.Spec(batch=4, size=6, seed=1)

  def indices(limit, **fields):
    batches = pipeline.evaluation_batches(
      _source(), dataclasses.replace(spec, **fields), limit
    )
    return [i for b in batches for i in b["index"][b["valid"]]]

  six = indices(6)
  assert len(set(six)) == 6 and six != sorted(six)
  assert indices(6, seed=9, batch=2) == six
  assert indices(10)[:6] == six
  assert sorted(indices(1000)) == list(range(_N))
  with pytest.raises(errors.UserError, match="limit of 0"):
    pipeline.evaluation_batches(_source(), spec, 0)


def test_evaluate_crops_the_centre():
  spec = _with(eval_crop="center", eval_resize=20, size=16, batch=1)
  source = _noise_source()
  (batch, *_) = pipeline.evaluation_batches(source, spec, limit=1)
  index = int(batch["index"][0])
  with Image.open(io.BytesIO(source[index]["image"])) as picture:
    w, h = picture.size
    short = min(w, h)
    size = (20 * w // short, 20 * h // short)
    whole = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
  top, left = round((size[1] - 16) / 2), round((size[0] - 16) / 2)
  np.testing.assert_array_equal(
    batch["image"][0], whole[top : top + 16, left : left + 16]
  )


@pytest.fixture
def broken(tmp_path):
  """Ten 6 x 6 files in one folder; 3 and 4 are truncated."""
  for i in range(10):
    file = io.BytesIO()
    Image.new("RGB", (6, 6), (i, i, i)).save(file, "png")
    data = file.getvalue()[: 20 if i in (3, 4) else None]
    (tmp_path / f"{i}.png").write_bytes(data)
  return sources.build("folder", "train", str(tmp_path))


@pytest.mark.parametrize(
  "make", [pipeline.training_batches, pipeline.evaluation_batches]
)
def test_a_broken_file_is_named(broken, make):
  iterator = make(broken, pipeline.Spec(batch=10, size=6))
  with pytest.raises(errors.UserError, match=r"[34]\.png") as caught:
    next(iterator)
  assert caught.value.key == "data.on_bad_record"


def test_a_broken_file_is_replaced_by_the_next_and_named_once(broken, caplog):
  spec = pipeline.Spec(
    batch=10, size=6, on_bad_record="skip", threads=3, max_bad_share=1.0
  )
  with caplog.at_level(logging.WARNING):
    batches = _take(pipeline.training_batches(broken, spec), 6)
  for step, batch in enumerate(batches):
    index = order.Order(n=10, batch=10, seed=0).slots(step)[1]
    expected = np.where((index == 3) | (index == 4), 5, index)
    np.testing.assert_array_equal(batch["index"], expected)
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], expected)
  warned = [r.getMessage() for r in caplog.records if "skipped" in r.msg]
  assert len(warned) == 2
  assert all(any(f"{i}.png" in text for text in warned) for i in (3, 4))


def test_a_broken_file_does_not_count_in_an_evaluation(broken):
  spec = pipeline.Spec(batch=4, size=6, on_bad_record="skip", max_bad_share=0.2)
  batches = list(pipeline.evaluation_batches(broken, spec))
  index = np.concatenate([batch["index"] for batch in batches])
  valid = np.concatenate([batch["valid"] for batch in batches])
  assert index[valid].tolist() == [0, 1, 2, 5, 6, 7, 8, 9]
  assert (index[~valid] == -1).all() and len(index) == 12


def test_nothing_but_broken_files_is_an_error_even_if_skipped():
  source = sources.ArraySource({"image": [b"no image"] * 5})
  spec = pipeline.Spec(batch=2, size=6, on_bad_record="skip")
  with pytest.raises(errors.UserError, match="no readable example"):
    next(pipeline.training_batches(source, spec))


def test_wrong_size_and_missing_images_are_explained(broken):
  with pytest.raises(errors.UserError, match="0.png is 6 x 6") as caught:
    next(pipeline.evaluation_batches(broken, pipeline.Spec(batch=1, size=8)))
  assert caught.value.key == "data.eval_crop"
  with pytest.raises(errors.UserError, match="is 6 x 6") as caught:
    next(pipeline.training_batches(_source(), pipeline.Spec(batch=1, size=8)))
  assert caught.value.key == "data.host_crop"
  texts = sources.ArraySource({"text": ["a", "b"]})
  with pytest.raises(errors.UserError, match="examples with text") as caught:
    next(pipeline.training_batches(texts, pipeline.Spec(batch=1, size=8)))
  assert caught.value.key == "data.name"


@pytest.mark.parametrize(
  "second",
  [
    {"image": np.zeros((6, 6, 3), np.uint8)},
    {"image": np.zeros((6, 6, 3), np.uint8), "label": 0.5},
    {"image": np.zeros((6, 6, 3), np.uint8), "label": np.zeros(2, int)},
  ],
)
def test_examples_that_make_no_batch_are_explained(second):
  first = {"image": np.zeros((6, 6, 3), np.uint8), "label": 0}
  source = _Listed([first, second])
  with pytest.raises(errors.UserError, match="in a batch") as caught:
    next(pipeline.training_batches(source, pipeline.Spec(batch=2, size=6)))
  assert caught.value.key == "data.name"


_UNUSED = {
  "ragged": [[1], [1, 2], [3], [1, 2, 3]],
  "shapes": [np.zeros((n, 5)) for n in (1, 2, 1, 3)],
  "types": [1, 0.5, 1, 0.5],
  "texts": ["a", "bc", "", "d"],
  "rows": [[[1], [1, 2]]] * 4,
  "objects": [{"box": [1, 2]}] * 4,
  "nothing": [None, 1, None, 2],
  "hashes": [2**60, 2**61, 1, 2],
}


@pytest.mark.parametrize(
  "make", [pipeline.training_batches, pipeline.evaluation_batches]
)
@pytest.mark.parametrize("reads", [(), (("image", None),)])
def test_what_nobody_reads_stops_nobody(make, reads):
  image = np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)
  source = sources.ArraySource(
    {"image": image, "vector": image[:, 0], **_UNUSED}
  )
  spec = pipeline.Spec(batch=4, size=2, threads=0, reads=reads)
  batch = next(make(source, spec))
  extra = {"valid"} if reads else {"valid", "vector"}
  assert set(batch) - extra == {"image", "index"}
  np.testing.assert_array_equal(batch["image"], image[batch["index"]])


@pytest.mark.parametrize("name", ["ragged", "shapes", "types"])
def test_what_differs_and_is_read_is_named(name):
  arrays = {"image": np.zeros((4, 2, 2, 3), np.uint8), name: _UNUSED[name]}
  reads = (("image", None), (name, None))
  spec = pipeline.Spec(batch=4, size=2, threads=0, reads=reads)
  with pytest.raises(errors.UserError, match=f"'{name}' in all of them"):
    next(pipeline.training_batches(sources.ArraySource(arrays), spec))


@pytest.mark.parametrize(
  "make", [pipeline.training_batches, pipeline.evaluation_batches]
)
def test_an_indivisible_batch_is_refused_at_once(make):
  with pytest.raises(errors.UserError) as caught:
    make(_source(), _SPEC, process_index=0, process_count=3)
  assert caught.value.key == "data.batch"


class _Listed(list):
  num_classes = None

  def name(self, i):
    return str(i)
