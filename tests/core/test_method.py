import dataclasses
import sys

import jax
import pytest
import toys

from jmim.core import discovery
from jmim.core import field
from jmim.core import method
from jmim.core import validate


@pytest.mark.parametrize("name", discovery.names())
def test_every_method_is_found_by_its_name(name):
  cls = discovery.find(name)
  assert issubclass(cls, method.Method)
  assert cls.__module__ == f"jmim.methods.{name}"


@pytest.mark.parametrize("name", discovery.names())
def test_every_field_is_documented_and_its_default_within_limits(name):
  for f in dataclasses.fields(discovery.find(name)):
    if f.metadata.get("config", True):
      assert f.metadata["doc"].strip(), f.name
      validate.check_limits(f.name, f.default, f.metadata)


def test_a_module_of_ones_own_works_too():
  assert discovery.find("toys") is toys.Adversarial


@pytest.mark.parametrize(
  "name",
  ["mim.mea", "mim", "mim.mae.MAE", "os.path", "", ".", ".mae", "mim..mae"],
)
def test_what_is_no_method_is_a_key_error(name):
  with pytest.raises(KeyError):
    discovery.find(name)


def test_looking_for_a_module_does_not_import_it():
  assert discovery.module_exists("wave")
  assert not discovery.module_exists("wave.reader")
  assert "wave" not in sys.modules or sys.modules["wave"] is not None
  assert not discovery.module_exists("jmim.methods.nothing.at.all")


def test_the_defaults_of_the_contract():
  toy = toys.MLP()
  assert toy.players == ("main",)
  assert toy.consts() == {} and toy.predict() == {}
  assert toy.groups() == () and toy.axes() == ()
  plain = method.Method()
  assert plain.draw(jax.random.key(0), {}, 0) == {}
  extra = {"x": 1}
  assert plain.after("main", {}, extra, {}, 0) is extra


@pytest.mark.parametrize("member", ["inputs", "init", "loss"])
def test_what_a_method_must_define_says_so(member):
  class Empty(method.Method):
    pass

  args = {"inputs": 0, "init": 2, "loss": 7}[member]
  with pytest.raises(TypeError, match=f"Empty must define {member}"):
    getattr(Empty(), member)(*[None] * args)


def test_a_field_keeps_its_doc_and_limits():
  @dataclasses.dataclass(frozen=True)
  class One:
    x: int = field.value(3, "a number", low=1, choices=(1, 3))

  (field,) = dataclasses.fields(One)
  assert One().x == 3
  assert dict(field.metadata) == {
    "doc": "a number",
    "low": 1,
    "choices": (1, 3),
  }
