"""Reading that fails now and then."""

import errno

import pytest

from jmim.core import errors
from jmim.data import again


@pytest.fixture
def slept(monkeypatch):
  found = []
  monkeypatch.setattr(again.time, "sleep", found.append)
  return found


def failing(number, times):
  """Fails so many times, then gives 7."""
  left = [times]

  def read():
    left[0] -= 1
    if left[0] >= 0:
      raise OSError(number, "no luck")
    return 7

  return read


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("times", range(4))
def test_what_passes_is_tried_again(slept, number, times):
  assert again.attempt(failing(number, times)) == 7
  assert slept == [*again.PAUSES][:times]


def test_what_stays_is_raised_and_what_is_of_the_file_at_once(slept):
  with pytest.raises(OSError, match="no luck"):
    again.attempt(failing(errno.EIO, 4))
  assert len(slept) == 3
  with pytest.raises(FileNotFoundError):
    again.attempt(failing(errno.ENOENT, 1))
  assert len(slept) == 3


def test_a_file_that_cannot_be_read_is_named(slept):
  assert again.read("a.tar", failing(errno.EIO, 1)) == 7
  with pytest.raises(errors.UserError, match="a.tar: .*no luck"):
    again.read("a.tar", failing(errno.EIO, 9))
