"""hosts.start: how the processes of a run find each other."""

import jax
import pytest

from jmim.core import errors
from jmim.parallel import hosts


def test_auto_leaves_all_to_jax(monkeypatch):
  given = []
  monkeypatch.setattr(
    jax.distributed, "initialize", lambda *a, **k: given.append((a, k))
  )
  hosts.start("auto", None, None, 9)
  hosts.start("here:1", 2, 0, 9)
  assert [a for a, _ in given] == [(None, None, None), ("here:1", 2, 0)]
  assert all(set(k.values()) == {9} for _, k in given)


def test_auto_where_nothing_tells_is_a_mistake_of_the_user(monkeypatch):
  # What JAX says then; here the devices are already in use.
  def initialize(*args, **kwargs):
    raise ValueError("coordinator_address should be defined.")

  monkeypatch.setattr(jax.distributed, "initialize", initialize)
  with pytest.raises(errors.UserError, match="--processes") as e:
    hosts.start("auto", None, None, 9)
  assert e.value.key == "--coordinator"
