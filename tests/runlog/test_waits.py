"""What is waited for, by kind."""

import contextlib

import pytest

from jmim.runlog import waits


class Stream:
  """Three items; notes what is waited for meanwhile."""

  def __init__(self):
    self.closed, self.within, self.seen = False, [], []
    self._items = iter("abc")

  def __iter__(self):
    return self

  def __next__(self):
    self.seen += self.within
    return next(self._items)

  def close(self):
    self.closed = True

  @contextlib.contextmanager
  def during(self, kind):
    self.within.append(kind)
    try:
      yield
    finally:
      self.within.pop()


def test_each_item_of_a_stream_is_waited_for_and_nothing_else():
  stream = Stream()
  for _ in waits.batches(stream, stream.during):
    assert not stream.within  # what is made of it is another matter
  assert stream.seen == [waits.FIRST_BATCH, *3 * [waits.BATCH]]
  assert stream.closed


def test_a_stream_that_is_left_is_closed():
  stream = Stream()
  for item in waits.batches(stream, waits.nothing):
    assert item == "a"
    break
  assert stream.closed


def test_an_error_of_a_stream_comes_through():
  def broken():
    yield 1
    raise OSError("the disk")

  with pytest.raises(OSError, match="the disk"):
    list(waits.batches(broken(), waits.nothing))


def test_kinds_are_apart_by_name_and_by_what_they_are_for():
  assert waits.output("features", 1) == waits.output("features", 1)
  assert waits.output("features", 1) != waits.output("features", 2)
  assert waits.evaluation("knn") != waits.evaluation("probe")
