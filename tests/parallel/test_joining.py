"""What a process does before it looks at a device."""

import types

import jax
import pytest

from jmim.core import config as configs
from jmim.parallel import backend
from jmim.parallel import hosts
from jmim.parallel import joining


@pytest.fixture
def calls(monkeypatch):
  """What is done, in order; values that the hosts compare."""
  done, values = [], {}
  monkeypatch.setattr(
    backend, "keep_compiled", lambda folder: done.append(("cache", folder))
  )
  monkeypatch.setattr(hosts, "start", lambda *args: done.append(args))
  monkeypatch.setattr(jax.config, "update", lambda *args: done.append(args))

  def agree(name, found, fix, keys):
    done.append(name)
    values.update(found)

  monkeypatch.setattr(
    hosts, "group", lambda seconds: types.SimpleNamespace(agree=agree)
  )
  return done, values


def test_one_process_meets_nobody(calls):
  config = configs.base()
  config.hardware.compile_cache = "/there"
  for coordinator in (None, ""):
    joining.join(config, coordinator, None, None)
  assert calls[0] == [("cache", "/there")] * 2


def test_several_meet_before_they_compare(calls, monkeypatch):
  done, values = calls
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  config = configs.base()
  config.hardware.update(compile_cache="", host_timeout=9)
  joining.join(config, "here:1", 2, 0)
  assert done == [
    ("cache", ""),
    ("jax_cpu_collectives_implementation", "gloo"),
    ("here:1", 2, 0, 9),
    "start",
  ]
  before = dict(values)
  config.seed = 1
  joining.join(config, "here:1", 2, 0)
  changed = {name for name in values if values[name] != before[name]}
  assert changed == {"config"}
  assert "jax " in values["set of libraries"]


def test_chips_need_no_gloo(calls, monkeypatch):
  monkeypatch.setenv("JAX_PLATFORMS", "")
  joining.join(configs.base(), "auto", None, None)
  assert not any("gloo" in x for x in calls[0])
