"""Sections of older runs: flat keys that have moved into parts."""

import dataclasses

import pytest

from jmim.core import field
from jmim.core import renamed
from jmim.core import validate
from jmim.methods.mim import mae


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slow:
  """One kind."""

  rate: float = field.value(0.1, "rate", was="speed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fast:
  """Another kind."""

  factor: float = field.value(9.0, "factor")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
  """A value that was renamed, and a part that was flat keys."""

  share: float = field.value(0.75, "share", was="ratio")
  pace: object = field.part(
    {"slow": Slow, "fast": Fast}, "pace", was="pace_{}", was_type="pace_kind"
  )


@pytest.mark.parametrize(
  "entries, expected",
  [
    ({"ratio": 0.5}, {"share": 0.5}),
    ({"share": 0.5}, {"share": 0.5}),
    ({"pace_speed": 2.0}, {"pace": {"rate": 2.0}}),
    (
      {"pace_kind": "fast", "pace_factor": 2.0},
      {"pace": {"type": "fast", "factor": 2.0}},
    ),
    ({"pace": {"rate": 3.0}}, {"pace": {"rate": 3.0}}),
    # An override by the older name of what a recipe has by today's.
    ({"pace": {"rate": 3.0}, "pace_speed": 2.0}, {"pace": {"rate": 2.0}}),
    ({"misspelt": 1}, {"misspelt": 1}),
  ],
)
def test_a_section_gets_todays_names(entries, expected):
  before = {
    k: dict(v) if isinstance(v, dict) else v for k, v in entries.items()
  }
  assert renamed.current(Model, entries) == expected
  assert entries == before


def test_moves_are_the_older_keys_that_are_there():
  entries = {"ratio": 1, "pace_speed": 2, "share": 3}
  keys = {k: m.key for k, m in renamed.moves(Model, entries).items()}
  assert keys == {"ratio": "share", "pace_speed": "pace.rate"}
  assert renamed.moves(Model, {"share": 3, "pace": {}}) == {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Converted:
  """Values that were said in other words."""

  low: bool = field.value(
    False, "low", was={"high": lambda x: not x, "is_low": None}
  )


@pytest.mark.parametrize(
  "entries, low",
  [({"high": False}, True), ({"is_low": True}, True), ({"low": True}, True)],
)
def test_an_older_value_is_converted(entries, low):
  assert renamed.current(Converted, entries) == {"low": low}
  assert validate.build(Converted, entries, "m") == Converted(low=low)


def test_what_only_another_kind_has_never_acted_and_is_dropped():
  complete = {"pace_kind": "fast", "pace_speed": 2.0, "pace_factor": 3.0}
  assert renamed.moves(Model, complete)["pace_speed"].key == ""
  assert validate.build(Model, complete, "m") == Model(pace=Fast(factor=3.0))


def test_older_names_build_what_todays_build():
  old = {"ratio": 0.5, "pace_kind": "fast", "pace_factor": 4.0}
  assert validate.build(Model, old, "m") == Model(
    share=0.5, pace=Fast(factor=4.0)
  )


def test_a_method_of_flat_keys():
  flat = {"variant": "Ti/4", "width": 64, "decoder_depth": 2, "size": 32}
  made = validate.build(mae.MAE, flat, "method")
  assert (made.dims.variant, made.dims.width, made.size) == ("Ti/4", 64, 32)
  assert made.decoder_dims.depth == 2
