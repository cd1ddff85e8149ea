"""The batches of a run: from any step on, and without skipped windows."""

import io
import itertools

import numpy as np
import PIL.Image
import pytest

from jmim.session import batches as feeds


@pytest.fixture
def open_at(parts):
  """Makes `Batches` that are closed at the end."""
  made = []

  def make(skips=()):
    made.append(feeds.Batches(parts, skips))
    return made[-1]

  yield make
  for batches in made:
    batches.close()


def images(stream, n):
  return [np.asarray(b["image"]) for b in itertools.islice(stream, n)]


def test_a_batch_that_was_looked_at_comes_next(open_at):
  batches = open_at()
  first = batches.peek()
  assert batches.peek() is first and next(batches) is first
  assert next(batches) is not first


def test_any_step_can_be_gone_to(open_at):
  batches = open_at()
  whole = images(batches, 6)
  batches.peek()  # is forgotten
  batches.go_to(4)
  np.testing.assert_array_equal(images(batches, 2), whole[4:])
  side = batches.after(1)  # a stream of its own
  np.testing.assert_array_equal(images(side, 2), whole[1:3])
  side.close()


def test_a_skipped_window_does_not_come_again(open_at):
  batches = open_at()
  whole = images(batches, 6)
  batches.skip(2, 3)
  batches.go_to(1)
  found = images(batches, 2)
  np.testing.assert_array_equal(found, [whole[1], whole[5]])
  assert [batches.position(step) for step in (0, 1, 2, 3)] == [0, 1, 5, 6]
  other = open_at(skips=[[2, 3]])  # as when the run is started again
  other.go_to(1)
  np.testing.assert_array_equal(images(other, 2), found)


def test_the_examples_of_a_step_are_those_of_its_batch(open_at, parts):
  batches = open_at(skips=[[1, 2]])
  for step in (1, 2):  # the second comes after the window
    named = batches.examples(step)
    stream = batches.after(step - 1)
    (batch,) = images(stream, 1)
    stream.close()
    source = parts.sources["train"]
    for image, index in zip(batch, named, strict=True):
      stored = PIL.Image.open(io.BytesIO(source[index]["image"]))
      np.testing.assert_array_equal(image[..., 0], np.asarray(stored))
