"""Fields of methods, parts and settings: documentation, limits, sections."""

import dataclasses

import pytest

from jmim.core import field
from jmim.core import runtime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear:
  """A line."""

  low: float = field.value(0.1, "least value", low=0)
  high: float = field.value(0.9, "greatest value")
  rt: runtime.Runtime = field.runtime()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosine:
  """Half a cosine."""

  shift: float = field.value(0.008, "shift at the start")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
  """A part with a part of two kinds."""

  steps: int = field.value(10, "steps", low=1)
  shape: object = field.part({"linear": Linear, "cosine": Cosine}, "its shape")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
  """What has fields and parts."""

  size: int = field.value(3, "image side", low=1, choices=(1, 3))
  noise: Noise = field.part(Noise, "noise process", steps=20)
  rt: runtime.Runtime = field.runtime()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Larger(Model):
  """Other defaults."""

  size: int = field.redefault(Model, "size", 1)
  noise: Noise = field.redefault(Model, "noise", shape=Cosine(shift=0.5))


def test_a_value_keeps_its_doc_and_limits():
  (size, *_) = dataclasses.fields(Model)
  assert Model().size == 3
  assert dict(size.metadata) == {
    "doc": "image side",
    "low": 1,
    "choices": (1, 3),
  }


def test_a_part_has_the_defaults_of_where_it_is_used():
  assert Model().noise == Noise(steps=20)
  assert Model().noise.shape == Linear()


def test_another_default_keeps_documentation_and_the_base():
  assert Larger().size == 1 and Model().size == 3
  assert Larger().noise == Noise(steps=20, shape=Cosine(shift=0.5))
  assert Model().noise.shape == Linear()
  for name in ("size", "noise"):
    docs = [field.configured(c)[name].metadata["doc"] for c in (Larger, Model)]
    assert docs[0] == docs[1]


def test_the_runtime_is_no_key():
  assert set(field.configured(Model)) == {"size", "noise"}
  assert set(field.configured(Linear)) == {"low", "high"}


def test_settings_are_the_nested_section_with_the_kinds_of_parts():
  assert field.settings(Model()) == {
    "size": 3,
    "noise": {
      "steps": 20,
      "shape": {"type": "linear", "low": 0.1, "high": 0.9},
    },
  }
  cosine = Model(noise=Noise(shape=Cosine()))
  assert field.settings(cosine)["noise"]["shape"] == {
    "type": "cosine",
    "shift": 0.008,
  }


def test_documented_are_the_values_of_all_kinds_by_dotted_key():
  found = field.documented(Model)
  assert set(found) == {
    "size",
    "noise.steps",
    "noise.shape.low",
    "noise.shape.high",
    "noise.shape.shift",
  }
  assert found["noise.shape.shift"].metadata["doc"] == "shift at the start"


def test_documented_defaults_are_those_of_where_a_part_is_used():
  both = [field.documented(cls) for cls in (Model, Larger, Noise)]
  of = lambda key: [found[key].default for found in both if key in found]
  assert of("size") == [3, 1] and of("noise.steps") == [20, 20]
  assert of("steps") == [10]
  assert of("noise.shape.shift") == [0.008, 0.5]


@pytest.mark.parametrize(
  "shape, kind", [(Linear(low=0.3), "linear"), (Cosine(), "cosine")]
)
def test_the_kind_of_a_part_is_that_of_its_class(shape, kind):
  kinds = field.configured(Noise)["shape"].metadata["parts"]
  assert field.kind_of(kinds, shape) == kind


def test_fields_that_no_weights_show():
  @dataclasses.dataclass(frozen=True, kw_only=True)
  class Dims:
    width: int = field.value(8, "channels")
    heads: int = field.value(4, "heads", low=0, unseen=True)

  assert field.unseen(Dims(heads=0)) == {"heads": 0}
  assert Dims.__dataclass_fields__["heads"].metadata["low"] == 0
