"""Batches put together from examples, slot by slot."""

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import reader
from jmim.data import sources

ZERO = np.zeros(4, int)


def _source(n=5):
  return sources.ArraySource({"number": np.arange(n)})


def _draws(example, rngs, name):
  """The number of an example, and one that is drawn."""
  return [
    {"number": np.int32(example["number"]), "drawn": rng.random(2)}
    for rng in rngs
  ]


def test_what_is_random_is_a_function_of_seed_epoch_example_and_repeat():
  draw = lambda *where: reader.example_rng(*where).random()
  places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0, 1)]
  values = {draw(*place) for place in places}
  assert len(values) == len(places)
  assert draw(0, 0, 0) == draw(0, 0, 0, 0)  # the first sample is the plain one
  assert draw(-1, 2, 3) == draw(2**64 - 1, 2, 3)


def test_slots_hold_their_examples_and_repeats_are_drawn_anew():
  made = reader.Reader(_source(), _draws, seed=3, skip_bad=False)
  index, repeat = np.array([4, 4, 1, 1]), np.array([0, 1, 0, 1])
  batch, bad = made.read(index, ZERO, repeat)
  assert not bad and batch["index"].dtype == np.int32
  np.testing.assert_array_equal(batch["index"], index)
  np.testing.assert_array_equal(batch["number"], index)
  assert len(np.unique(batch["drawn"])) == 8
  for slot in range(4):
    rng = reader.example_rng(3, 0, int(index[slot]), int(repeat[slot]))
    np.testing.assert_array_equal(batch["drawn"][slot], rng.random(2))


def test_a_batch_may_begin_within_the_repeats_of_an_example():
  made = reader.Reader(_source(), _draws, seed=3, skip_bad=False)
  whole, _ = made.read(np.full(4, 2), ZERO, np.arange(4))
  end, _ = made.read(np.full(2, 2), ZERO[:2], np.array([2, 3]))
  np.testing.assert_array_equal(whole["drawn"][2:], end["drawn"])


def _broken(example, rngs, name):
  if example["number"] in (1, 2):
    raise decode.BadImage("cut short")
  return _draws(example, rngs, name)


def test_a_broken_example_is_named_or_replaced_by_the_next():
  strict = reader.Reader(_source(), _broken, seed=0, skip_bad=False)
  with pytest.raises(errors.UserError, match="array element 1: cut short") as e:
    strict.read(np.array([0, 1]), ZERO[:2], ZERO[:2])
  assert e.value.key == "data.on_bad_record"
  lenient = reader.Reader(_source(), _broken, seed=0, skip_bad=True)
  batch, bad = lenient.read(np.array([0, 1, 4]), ZERO[:3], ZERO[:3])
  assert batch["index"].tolist() == [0, 3, 4] == batch["number"].tolist()
  assert set(bad) == {1, 2} and "cut short" in bad[1]


def test_a_reader_that_was_stopped_gives_up():
  made = reader.Reader(_source(), _draws, seed=0, skip_bad=False)
  made.stop()
  with pytest.raises(RuntimeError):
    made.read(np.array([0]), ZERO[:1], ZERO[:1])


@pytest.mark.parametrize(
  "other", [{"x": np.zeros(3)}, {"y": np.zeros(2)}, {"x": np.zeros(2, "f4")}]
)
def test_slots_of_a_batch_are_alike(other):
  batch = {}
  reader.put(batch, 1, {"x": np.ones(2)}, 3)
  assert batch["x"].shape == (3, 2) and batch["x"][1].all()
  with pytest.raises(errors.UserError, match="in a batch") as e:
    reader.put(batch, 2, other, 3)
  assert e.value.key == "data.name"
