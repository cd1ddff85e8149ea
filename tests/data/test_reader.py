"""Batches put together from examples, slot by slot."""

import errno

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import again
from jmim.data import decode
from jmim.data import reader
from jmim.data import sources

ZERO = np.zeros(4, int)
RULES = reader.Rules()
SKIP = reader.Rules(skip_bad=True)


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
  made = reader.Reader(_source(), _draws, seed=3, rules=RULES)
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
  made = reader.Reader(_source(), _draws, seed=3, rules=RULES)
  whole, _ = made.read(np.full(4, 2), ZERO, np.arange(4))
  end, _ = made.read(np.full(2, 2), ZERO[:2], np.array([2, 3]))
  np.testing.assert_array_equal(whole["drawn"][2:], end["drawn"])


def _broken(example, rngs, name):
  if example["number"] in (1, 2):
    raise decode.BadImage("cut short")
  return _draws(example, rngs, name)


def test_a_broken_example_is_named_or_replaced_by_the_next():
  strict = reader.Reader(_source(), _broken, seed=0, rules=RULES)
  with pytest.raises(errors.UserError, match="array element 1: cut short") as e:
    strict.read(np.array([0, 1]), ZERO[:2], ZERO[:2])
  assert e.value.key == "data.on_bad_record"
  lenient = reader.Reader(_source(), _broken, seed=0, rules=SKIP)
  batch, bad = lenient.read(np.array([0, 1, 4]), ZERO[:3], ZERO[:3])
  assert batch["index"].tolist() == [0, 3, 4] == batch["number"].tolist()
  assert set(bad) == {1, 2} and "cut short" in bad[1]


def test_a_reader_that_was_stopped_gives_up():
  made = reader.Reader(_source(), _draws, seed=0, rules=RULES)
  made.stop()
  with pytest.raises(RuntimeError):
    made.read(np.array([0]), ZERO[:1], ZERO[:1])


class _Files:
  """Examples of which some cannot be opened, as of a disk that changes."""

  num_classes = None

  def __init__(self, failures):
    self.failures = failures

  def __len__(self):
    return 6

  def __getitem__(self, i):
    if i in self.failures:
      raise self.failures[i]
    return {"number": i}

  def name(self, i):
    return f"file {i}"


GONE = {
  1: FileNotFoundError(errno.ENOENT, "No such file"),
  2: OSError(errno.ELOOP, "Too many links"),
  4: PermissionError(errno.EACCES, "Permission denied"),
}


def test_a_file_that_cannot_be_opened_is_a_bad_record():
  index = np.array([0, 1, 4])
  lenient = reader.Reader(_Files(GONE), _draws, seed=0, rules=SKIP)
  batch, bad = lenient.read(index, ZERO[:3], ZERO[:3])
  assert batch["number"].tolist() == [0, 3, 5] and set(bad) == {1, 2, 4}
  assert bad[1] == "file 1: cannot be read: No such file"
  strict = reader.Reader(_Files(GONE), _draws, seed=0, rules=RULES)
  with pytest.raises(errors.UserError, match="file 1: cannot") as e:
    strict.read(index, ZERO[:3], ZERO[:3])
  assert e.value.key == "data.on_bad_record"


def test_what_fails_whatever_the_file_is_no_bad_record():
  broken = {1: OSError(errno.EMFILE, "Too many open files")}
  lenient = reader.Reader(_Files(broken), _draws, seed=0, rules=SKIP)
  with pytest.raises(OSError, match="Too many open"):
    lenient.read(np.array([0, 1]), ZERO[:2], ZERO[:2])


class _Passing(_Files):
  """Fails at first, so many times an example."""

  def __getitem__(self, i):
    if self.failures.get(i, 0):
      self.failures[i] -= 1
      raise OSError(errno.EIO, "Input/output error")
    return {"number": i}


def test_what_passes_is_tried_again_and_what_stays_is_a_bad_record(monkeypatch):
  monkeypatch.setattr(again, "PAUSES", (0.0, 0.0))
  lenient = reader.Reader(_Passing({1: 2, 4: 3}), _draws, seed=0, rules=SKIP)
  batch, bad = lenient.read(np.array([0, 1, 4]), ZERO[:3], ZERO[:3])
  assert batch["number"].tolist() == [0, 1, 5]
  assert bad == {4: "file 4: cannot be read: Input/output error"}


@pytest.mark.parametrize("others", [[], [[1, 2]]])
def test_what_is_read_and_missing_is_named(others):
  rules = reader.Rules((("tokens", None),), skip_bad=True)
  with pytest.raises(
    errors.UserError, match=f"file {len(others)} with nothing"
  ):
    _read_all([*others, None], rules, "tokens")


def _read_all(values, rules, name="label", classes=None):
  """The entry of a batch of all examples that hold these values."""
  examples = [{} if v is None else {name: v} for v in values]
  source = _Files({})
  source.num_classes = classes
  make = lambda example, rngs, called: [
    {k: np.int32(v) for k, v in examples[example["number"]].items()}
  ]
  index = np.arange(len(values))
  made = reader.Reader(source, make, seed=0, rules=rules)
  return made.read(index, np.zeros_like(index), np.zeros_like(index))


@pytest.mark.parametrize("none", [-1, None])
def test_an_example_without_the_label_that_is_read_is_bad(none):
  reads = (("label", 3),)
  with pytest.raises(errors.UserError, match="file 1: no label"):
    _read_all([2, none, 0], reader.Rules(reads))
  values = [2, none, 0, 1, 1, 1]
  batch, bad = _read_all(values, reader.Rules(reads, skip_bad=True))
  assert batch["label"].tolist() == [2, 0, 0, 1, 1, 1] and set(bad) == {1}
  evaluated = reader.Rules(reads, unlabelled=True)
  batch, bad = _read_all(values, evaluated, classes=3)
  assert batch["label"].tolist() == [2, -1, 0, 1, 1, 1] and not bad


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize(
  ("name", "value"), [("label", 3), ("tokens", [0, 3]), ("tokens", [-1, 0])]
)
def test_numbers_out_of_range_are_named_with_their_example(
  name, value, evaluated
):
  rules = reader.Rules(((name, 3),), skip_bad=True, unlabelled=evaluated)
  with pytest.raises(errors.UserError, match=f"file 1: '{name}' with the"):
    _read_all([np.zeros_like(value), value], rules, name)
  _read_all([np.zeros_like(value), value], reader.Rules(), name)
