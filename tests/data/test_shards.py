"""Shards that are not whole: which end a run, and which are left out."""

import pytest

from jmim.core import errors
from jmim.data import shards


def read(name):
  if name.startswith("cut"):
    raise errors.UserError(f"{name} is cut", "a whole one", "copy it again")
  return name.upper()


FILES = ["a", "cut b", "c", "cut d"]


def test_none_may_be_left_out():
  assert shards.each(["a", "c"], read, 0.0) == ["A", "C"]
  with pytest.raises(errors.UserError, match="cut b is cut"):
    shards.each(FILES, read, 0.0)


def test_some_may_be_left_out_and_stand_as_their_errors():
  found = shards.each(FILES, read, 0.1)
  assert [found[0], found[2]] == ["A", "C"]
  assert shards.broken(found) == ["cut b is cut", "cut d is cut"]
  with pytest.raises(errors.UserError, match="cut b is cut"):
    shards.each([FILES[1], FILES[3]], read, 1.0)  # nothing would be left
  assert shards.each([], read, 1.0) == []


def test_a_share_of_them_is_logged_and_more_is_an_error(caplog):
  seen = ["cut b is cut", "cut d is cut"]
  shards.say(seen, 4, 0.5)
  assert all(text in caplog.text for text in seen)
  with pytest.raises(errors.UserError) as caught:
    shards.say(seen, 4, 0.49)
  assert caught.value.key == "data.max_bad_share"
  assert "2 of 4 shards" in caught.value.seen and seen[0] in caught.value.seen
  shards.say([], 4, 0.0)


def test_what_is_no_matter_of_a_shard_is_raised():
  def bug(name):
    raise KeyError(name)

  with pytest.raises(KeyError):
    shards.each(FILES, bug, 1.0)
