"""Slices as TFDS cuts them, and shares held out."""

import pickle

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core import splits as tfds_splits

from jmim.core import errors
from jmim.data import sources
from jmim.data import splits


def _source(n, labels=None):
  arrays = {"image": np.arange(n)}
  if labels is not None:
    arrays["label"] = np.asarray(labels)
  return sources.ArraySource(arrays)


def _images(source):
  return [int(source[i]["image"]) for i in range(len(source))]


def _open(text, n):
  return splits.open(text, lambda name: _source(n))


@pytest.mark.parametrize(
  "text",
  [
    "train",
    "train[:80%]",
    "train[80%:]",
    "train[3:7]",
    "train[-3:]",
    "train[:-10%]",
    "train[33%:67%]",
    "train[:10%]+train[90%:]",
  ],
)
@pytest.mark.parametrize("n", [10, 13, 1001])
def test_a_slice_holds_what_tfds_takes(text, n):
  info = tfds_splits.SplitInfo(
    name="train",
    shard_lengths=[n],
    num_bytes=0,
    filename_template=tfds.core.ShardedFileTemplate(
      dataset_name="x", data_dir="/", split="train", filetype_suffix="tfrecord"
    ),
  )
  found = tfds_splits.SplitDict([info])[text].file_instructions
  ranges = [np.arange(f.skip, f.skip + f.take) for f in found]
  assert _images(_open(text, n)) == np.concatenate(ranges).tolist()


def test_the_name_may_be_left_out():
  assert _images(_open("[2:4]", 10)) == [2, 3]
  assert _images(_open("train[:]", 3)) == [0, 1, 2]


@pytest.mark.parametrize(
  "text",
  [
    "train[:11]",
    "train[-11:]",
    "train[:120%]",
    "train[5:5]",
    "train[7:3]",
    "train[a:b]",
    "train[3]",
    "train[:2",
    "train[:2]+test[:2]",
    "train[:3]+train[2:]",
    "train[::2]",
  ],
)
def test_what_is_no_slice_of_ten_is_told(text):
  with pytest.raises(errors.UserError) as caught:
    _open(text, 10)
  assert caught.value.key == "data.train_split"


def test_a_part_gives_all_that_the_whole_gives():
  labels = np.arange(20) % 4
  part = splits.Subset(_source(20, labels), np.array([3, 17, 5]))
  assert _images(part) == [3, 17, 5]
  assert part.num_classes == 4 and part.name(1) == "array element 17"
  assert part.labels().tolist() == [3, 1, 1]
  assert part.column("label").tolist() == [3, 1, 1]
  assert part.column("absent") is None
  assert splits.whole(part) is part.source


def test_many_are_read_at_once_where_the_whole_can():
  class Quick(sources.ArraySource):
    def __getitems__(self, indices):
      return [{"at once": i} for i in indices]

  part = splits.Subset(Quick({"image": np.arange(9)}), np.array([3, 7, 5]))
  part = splits.Subset(part, np.array([0, 2]))
  assert part.__getitems__([1, 0]) == [{"at once": 5}, {"at once": 3}]
  assert not hasattr(splits.Subset(_source(9), [1]), "__getitems__")


def test_a_part_can_be_sent_to_another_process():
  part = pickle.loads(pickle.dumps(splits.Subset(_source(9), [4, 2])))
  assert _images(part) == [4, 2]


def test_a_share_is_disjoint_complete_and_fair_to_classes():
  labels = np.repeat([0, 1, 2], [50, 30, 20])
  train, held = splits.hold_out(_source(100, labels), 0.1)
  assert sorted(_images(train) + _images(held)) == list(range(100))
  counts = np.bincount(held.labels(), minlength=3)
  assert counts.tolist() == [5, 3, 2]
  again = splits.hold_out(_source(100, labels), 0.1)[1]
  assert _images(again) == _images(held)
  # Not the first ones, which may have been taken one after another.
  assert _images(held)[:5] != [0, 1, 2, 3, 4]


def test_a_share_of_what_has_no_labels():
  train, held = splits.hold_out(_source(10), 0.01)
  assert len(held) == 1 and len(train) == 9
  for n, share in ((1, 0.5), (2, 0.9)):
    with pytest.raises(errors.UserError) as caught:
      splits.hold_out(_source(n), share)
    assert caught.value.key == "data.eval_share"


def test_the_share_of_a_sequence_is_its_end(tmp_path):
  (tmp_path / "train.txt").write_bytes(bytes(range(100)))
  source = sources.build("text/byte:10", "train", str(tmp_path))
  train, held = splits.hold_out(source, 0.3)
  assert [x["tokens"][0] for x in train] == [0, 10, 20, 30, 40, 50, 60]
  assert [x["tokens"][0] for x in held] == [70, 80, 90]


def test_examples_in_common_are_counted():
  whole, other = _source(10), _source(10)
  first = splits.Subset(whole, np.arange(6))
  last = splits.Subset(whole, np.arange(4, 10))
  assert splits.common(first, last) == 2
  assert splits.common(first, whole) == 6
  assert splits.common(whole, other) == 0
  assert splits.common(whole, object()) == 0
  same = [sources.synthetic(count=4, size=8) for _ in range(2)]
  assert splits.common(*same) == 4


def test_a_stretch_of_spread_examples_has_its_share_of_each_class():
  labels = np.repeat([0, 1, 2], [60, 30, 10])
  line = np.random.default_rng(0).permutation(100)
  spread = splits.spread(labels, line)
  assert sorted(spread) == list(range(100))
  for start in range(0, 100, 10):
    counts = np.bincount(labels[spread[start : start + 10]], minlength=3)
    assert abs(counts - [6, 3, 1]).max() <= 1
  # Within a class the order is that of `line`.
  kept = [i for i in line if labels[i] == 1]
  assert [i for i in spread if labels[i] == 1] == kept


def test_names_of_splits_have_one_home():
  assert tuple(splits.STORED) == splits.OF_RUN
  assert splits.MADE == ("train", "test") and {*splits.MADE} < {*splits.USUAL}
