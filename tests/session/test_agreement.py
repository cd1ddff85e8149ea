"""What hosts compare before they train; test_two_hosts.py has real ones."""

import errno
import json

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import again
from jmim.data import combine
from jmim.data import sources
from jmim.parallel import hosts
from jmim.session import agreement


def source(n=20, flip=None, **more):
  images = np.arange(n * 12, dtype=np.uint8).reshape(n, 2, 2, 3)
  if flip is not None:
    images[flip] += 1
  return sources.ArraySource({"image": images, **more})


def differs(monkeypatch, ours, theirs):
  """What host 1 is told if host 0 sees other sources; None: nothing."""
  brought = {}

  def gather(name, value, seconds, index, count):
    brought[index] = value
    return brought

  monkeypatch.setattr(hosts, "gather", gather)
  none = lambda: {}
  agreement.check_data(hosts.Group(1, 0, 2), {"train": theirs}, {}, none)
  try:
    agreement.check_data(hosts.Group(1, 1, 2), {"train": ours}, {}, none)
  except errors.UserError as e:
    return e
  return None


def test_the_same_is_the_same_cached_or_not(monkeypatch):
  kept = combine.Cached(source(), 10**6)
  assert agreement.facts(kept) == agreement.facts(source())
  assert differs(monkeypatch, source(), source()) is None


@pytest.mark.parametrize(
  "theirs, what",
  [
    (source(19), "number of examples of data.train of hosts 1 .* (20, not 19)"),
    (source(flip=19), "content of examples of data.train"),
    (source(label=np.zeros(20, int)), "content of examples"),
  ],
)
def test_what_differs_is_named_with_its_key(monkeypatch, theirs, what):
  error = differs(monkeypatch, source(), theirs)
  for part in what.split(" .* "):
    assert part in error.seen
  assert error.key == "data.data_dir"


def test_labels_of_all_examples_count():
  one, other = np.zeros(2000, int), np.zeros(2000, int)
  other[777] = 1
  facts = [agreement.facts(source(2000, label=x)) for x in (one, other)]
  assert facts[0]["labels"] != facts[1]["labels"]
  assert facts[0]["content of examples"] == facts[1]["content of examples"]


def test_names_of_all_examples_count():
  class Named(sources.ArraySource):
    renamed = 777

    def name(self, i):
      return f"{i}.png" if i != self.renamed else "other.png"

  one, other = (Named({"image": np.zeros((5000, 1))}) for _ in range(2))
  other.renamed = 778
  facts = [agreement.facts(x) for x in (one, other)]
  assert facts[0]["list of examples"] != facts[1]["list of examples"]


def test_an_error_that_passes_is_no_difference(monkeypatch):
  """As where one host's network fails once: all would end for good."""
  monkeypatch.setattr(again.time, "sleep", lambda seconds: None)

  class Blinks(sources.ArraySource):
    left = 2

    def __getitem__(self, i):
      self.left -= 1
      if self.left >= 0:
        raise OSError(errno.EIO, "no luck")
      return super().__getitem__(i)

  images = np.arange(240, dtype=np.uint8).reshape(20, 2, 2, 3)
  blinks = Blinks({"image": images})
  assert differs(monkeypatch, blinks, source()) is None
  assert blinks.left < 0


def test_an_example_that_cannot_be_read_is_left_to_the_pipeline():
  class Broken(sources.ArraySource):
    def __getitem__(self, i):
      raise OSError("gone")

  facts = agreement.facts(Broken({"image": np.zeros((4, 2, 2, 3), np.uint8)}))
  assert facts["number of examples"] == "4"


def test_nested_examples_have_one_hash_whatever_their_order():
  def of(value):
    found = agreement.hashlib.sha256()
    agreement._add(found, value)
    return found.hexdigest()

  one = {"a": [b"x", np.arange(3)], "b": {"c": "text", "d": 1}}
  other = {"b": {"d": 1, "c": "text"}, "a": [b"x", np.arange(3)]}
  assert of(one) == of(other) != of({**one, "a": [b"x", np.arange(4)]})


def test_lengths_networks_and_what_a_run_starts_from(monkeypatch):
  told = []
  agree = lambda self, name, values, fix, keys=None: told.append(values)
  monkeypatch.setattr(hosts.Group, "agree", agree)
  two = hosts.Group(1, 0, 2)
  agreement.check_data(two, {}, {"length": 7}, lambda: {"vae": "abc"})
  agreement.check_loaded(two, {"w": np.ones(2)})
  assert told[0] == {"length": "7", "network vae": "abc"}
  assert len(told[1]["weights to start from"]) == 64
  alone = hosts.Group()
  agreement.check_data(alone, {"train": None}, {}, lambda: 1 / 0)
  agreement.check_loaded(alone, None)
  assert len(told) == 2 and json.dumps(told)
