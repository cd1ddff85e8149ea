"""Batches made ahead: how many, and what is left when they are not wanted."""

import dataclasses
import itertools
import logging
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import order
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import stream

_N = 23


def _source(n=_N, shape=(6, 6, 3), label=True):
  """Example i: an image full of i; label 2 i."""
  images = np.broadcast_to(
    np.arange(n, dtype=np.uint8)[:, None, None, None], (n, *shape)
  )
  return sources.ArraySource(
    {"image": images} | ({"label": 2 * np.arange(n)} if label else {})
  )


def _workers():
  mine = ("grain-prefetch", "jmim-decode", "jmim-read")
  return [t for t in threading.enumerate() if t.name.startswith(mine)]


@pytest.mark.parametrize("how", ["close", "drop"])
def test_threads_end_with_the_iterator(how):
  before = set(_workers())
  iterator = pipeline.training_batches(
    _source(), pipeline.Spec(batch=4, size=6)
  )
  next(iterator)
  mine = set(_workers()) - before
  assert mine
  if how == "close":
    iterator.close()
  del iterator
  for thread in mine:
    thread.join()


class _Counting:
  num_classes = None

  def __init__(self):
    self.read, self.lock = 0, threading.Lock()

  def __len__(self):
    return 1000

  def __getitem__(self, i):
    with self.lock:
      self.read += 1
    return {"image": np.zeros((6, 6, 3), np.uint8)}

  def name(self, i):
    return str(i)


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_no_more_than_prefetch_batches_are_made_ahead(threads):
  source = _Counting()
  spec = pipeline.Spec(batch=4, size=6, threads=threads, prefetch=3)
  iterator = pipeline.training_batches(source, spec)
  for taken in range(1, 20):
    next(iterator)
    assert 4 * taken <= source.read <= 4 * (taken + 3)
  iterator.close()


class _Together(_Counting):
  """Gives out examples in companies of five, and none before."""

  def __init__(self):
    super().__init__()
    self.barrier = threading.Barrier(5, timeout=60)

  def __getitem__(self, i):
    self.barrier.wait()
    return super().__getitem__(i)


def test_all_threads_decode_for_one_batch():
  source = _Together()
  spec = pipeline.Spec(batch=10, size=6, threads=5, prefetch=1)
  iterator = pipeline.training_batches(source, spec)
  assert len(next(iterator)["index"]) == 10  # else: BrokenBarrierError
  iterator.close()
  source.barrier.abort()


@pytest.mark.parametrize("threads", [0, 1, 2, 16])
@pytest.mark.parametrize("prefetch", [1, 3])
def test_how_batches_are_made_changes_nothing(threads, prefetch, caplog):
  spec = pipeline.Spec(batch=7, size=4, host_crop="resized", seed=5)
  batches = lambda spec: itertools.islice(
    pipeline.training_batches(_source(), spec), 5
  )
  mine = dataclasses.replace(spec, threads=threads, prefetch=prefetch)
  with caplog.at_level(logging.WARNING):
    for ours, plain in zip(batches(mine), batches(spec), strict=True):
      assert ours.keys() == plain.keys() == {"image", "label", "index"}
      for name, x in plain.items():
        np.testing.assert_array_equal(ours[name], x)
  assert not caplog.records  # Grain's advice is none to our users


def test_starting_far_away_reads_no_more_than_at_the_beginning():
  source = _Counting()
  spec = pipeline.Spec(batch=4, size=6, threads=1, prefetch=3)
  iterator = pipeline.training_batches(source, spec, 10**6)
  next(iterator)
  iterator.close()
  assert source.read <= 4 * (1 + 3)


class _Gated(_Counting):
  """Gives out some examples, and waits with all others."""

  def __init__(self, free):
    super().__init__()
    self.gate, self.free = threading.Event(), set(free)

  def __getitem__(self, i):
    if i not in self.free:
      self.gate.wait()
    return super().__getitem__(i)


def test_batches_in_the_making_are_given_up():
  before = set(_workers())
  source = _Gated(order.Order(n=1000, batch=4, seed=0).slots(0)[1])
  iterator = pipeline.training_batches(
    source, pipeline.Spec(batch=4, size=6, threads=2, prefetch=1)
  )
  next(iterator)
  mine = set(_workers()) - before
  iterator.close()
  source.gate.set()
  for thread in mine:
    thread.join()
  assert source.read <= 4 + 2  # what each thread was waiting for, no more


_EXIT = """
import numpy as np
from jmim.data import pipeline, sources
source = sources.ArraySource({"image": np.zeros((100, 6, 6, 3), np.uint8)})
iterator = pipeline.training_batches(source, pipeline.Spec(batch=10, size=6))
print(len(next(iterator)["index"]))
"""


def test_the_interpreter_exits_with_an_open_iterator():
  found = subprocess.run(
    [sys.executable, "-c", _EXIT],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    text=True,
    check=True,
  )
  assert found.stdout == "10\n" and not found.stderr


def test_what_is_left_out_is_named_once_and_not_too_often(caplog):
  spec = pipeline.Spec(batch=4, size=6, max_bad_share=0.1)
  skipped = stream.Skipped(_source(), spec)  # 23 examples
  with caplog.at_level(logging.WARNING):
    skipped.warn({3: "three: cut"})
    skipped.warn({3: "three: cut", 5: "five: cut"})
    skipped.warn({})
  texts = [r.getMessage() for r in caplog.records]
  assert texts == [
    "skipped three: cut (1 so far)",
    "skipped five: cut (2 so far)",
  ]
  with pytest.raises(errors.UserError, match="3 of 23.*nine: cut") as caught:
    skipped.warn({9: "nine: cut"})
  assert caught.value.key == "data.max_bad_share"
