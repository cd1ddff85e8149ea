import sys

import jax
import pytest

from jmim.core import errors
from jmim.parallel import topology


@pytest.mark.parametrize(
  "text, expected",
  [
    ("v5e:16x16", ("v5e", (16, 16))),
    ("v5p:4x4x4", ("v5p", (4, 4, 4))),
    ("cpu:8", ("cpu", (8,))),
  ],
)
def test_names(text, expected):
  assert topology.parse(text) == expected


@pytest.mark.parametrize(
  "text", ["v5e", "v5e:16", "v5p:4x4", "v9:2x2", "cpu:2x2", "cpu:0", "8", ""]
)
def test_what_names_none_is_an_error(text):
  with pytest.raises(errors.UserError, match="v5e:16x16") as e:
    topology.parse(text)
  assert e.value.key == "--topology"


def test_simulated_devices():
  assert topology.devices("cpu:4") == jax.devices()[:4]
  with pytest.raises(errors.UserError, match="there are 8"):
    topology.devices("cpu:16")
  with pytest.raises(errors.UserError, match="replica") as e:
    topology.devices("cpu:4", slices=2)
  assert e.value.key == "--slices"


def test_without_gpus_there_are_none():
  with pytest.raises(errors.UserError, match="there are 0"):
    topology.devices("gpu:8")


def test_without_the_tpu_compiler_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "libtpu", None)
  monkeypatch.setattr(topology.importlib.util, "find_spec", lambda _: None)
  with pytest.raises(errors.UserError, match=r"jmim\[aot\]"):
    topology.devices("v5e:2x2")
