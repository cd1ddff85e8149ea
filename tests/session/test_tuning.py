"""Equal ways to run a layer, the choice among them, and where it is kept."""

import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.parallel import hosts
from jmim.parallel import sharding
from jmim.session import aot
from jmim.session import program as programs
from jmim.session import tuning

ALONE = hosts.Group()


class Said:
  """A console whose lines are kept."""

  def __init__(self):
    self.lines = []

  def print(self, text, style=None):
    del style
    self.lines.append(text)

  def busy(self, text):
    del text
    return self

  __enter__ = __exit__ = lambda self, *_: None


@pytest.fixture
def small(monkeypatch):
  """Layers of no size."""
  sizes = dict(BLOCKS=2, BATCH=2, TOKENS=5, WIDTH=16, HEADS=2, TURNS=1)
  for name, value in sizes.items():
    monkeypatch.setattr(tuning, name, value)


@pytest.fixture
def config(parts, tmp_path):
  config = configs.override(parts.config, ["hardware.tune=True"])
  return configs.override(config, [f"hardware.compile_cache={tmp_path}"])


def run(parts, way):
  hardware = parts.config.hardware
  both, arguments, options = tuning.layers(hardware, parts.mesh, way)
  return jax.jit(both, compiler_options=options)(*arguments)


WAYS = [
  {key: value} for key, values in tuning.WAYS["cpu"].items() for value in values
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_all_ways_are_equal_within_rounding(small, parts, way):
  want, got = run(parts, {}), run(parts, way)
  for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(got), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(a).max())


def choose(ways, speeds):
  """With a clock that says what the way takes."""

  def timed(way):
    taken = 1.0
    for key, value in way.items():
      speed = speeds.get((key, value), 1.0)
      if speed is None:
        raise errors.UserError("no such thing", "another", "x", key)
      taken /= speed
    return lambda: taken

  return tuning.choose(ways, timed)


def test_what_is_faster_by_more_than_noise_is_taken():
  ways = {"flat": ("all", "none"), "scan": ("off", "on"), "a": (1, 2, 3)}
  speeds = {("flat", "none"): 1.04, ("scan", "on"): 1.06, ("a", 2): 1.5}
  way, trials = choose(ways, {**speeds, ("a", 3): 1.2})
  assert way == {"flat": "all", "scan": "on", "a": 2}
  found = [(t.key, t.value, round(t.speed, 3), t.taken) for t in trials]
  assert found == [
    ("flat", "none", 1.04, False),
    ("scan", "on", 1.06, True),
    ("a", 2, 1.5, True),
    ("a", 3, 0.8, False),  # of the one taken before
  ]


def test_what_a_device_does_not_have_is_said_and_not_taken():
  way, (trial,) = choose({"flat": (0, 1)}, {("flat", 1): None})
  assert way == {"flat": 0} and trial.speed is None
  assert "not on this device" in str(trial)


def test_the_present_way_must_run():
  with pytest.raises(errors.UserError):
    choose({"flat": (0, 1)}, {("flat", 0): None})


def test_a_machine_that_slows_down_makes_no_way_faster():
  clock = itertools.count()
  seconds = lambda: 1.2 ** next(clock)  # each run takes a fifth longer
  assert tuning._speed(seconds, seconds) < tuning.LEAST


def test_a_choice_is_kept_for_the_processor(
  small, config, tmp_path, monkeypatch
):
  said = Said()
  found = tuning.tuned(config, ALONE, said)
  (path,) = tmp_path.glob("tuned-*.json")
  kept = json.loads(path.read_text())
  assert kept.keys() == tuning.WAYS["cpu"].keys()
  for key, value in kept.items():
    value = tuple(value) if isinstance(value, list) else value
    assert found.hardware[key] == value
  assert len(said.lines) == 5 and said.lines[-1].startswith("tuned hardware")
  assert config.hardware.flat == "auto"  # what was given is not changed

  path.write_text(json.dumps({**kept, "attention": "xla"}))
  with monkeypatch.context() as patch:
    patch.setattr(tuning, "choose", None)  # not asked again
    again = tuning.tuned(config, ALONE, Said())
  assert again.hardware.attention == "xla"
  path.write_text(json.dumps({**kept, "attention": "guessed"}))
  tuning.tuned(config, ALONE, Said())
  assert json.loads(path.read_text())["attention"] != "guessed"


def test_keys_that_are_set_are_left_alone(small, config):
  config = configs.override(config, ["hardware.attention=xla"])
  said = Said()
  found = tuning.tuned(config, ALONE, said)
  assert found.hardware.attention == "xla"
  assert not any("attention" in line for line in said.lines)


def test_other_hosts_do_as_the_first_one(config, monkeypatch):
  class Second(hosts.Group):
    def of_first(self, name, value):
      assert value == "null"
      return json.dumps({"scan": "on", "compiler": ["a=1"]})

  monkeypatch.setattr(tuning, "choose", None)
  found = tuning.tuned(config, Second(index=1, count=2), Said()).hardware
  assert (found.scan, found.compiler) == ("on", ("a=1",))


def test_without_the_key_nothing_happens(parts):
  assert tuning.tuned(parts.config, ALONE, None) is parts.config


def test_options_reach_the_compiler_and_wrong_ones_are_named(parts):
  where = sharding.batch_sharding(parts.mesh)
  image = jax.ShapeDtypeStruct((parts.batch, 8, 8, 1), np.uint8, sharding=where)
  program = programs.make(parts, {"image": image})
  for wrong in ({"xla_nope": "1"}, {"xla_cpu_use_xnnpack": "maybe"}):
    asked = dataclasses.replace(program, options=wrong)
    lowered = program.lower(program.like)
    for compile_it in (
      lambda asked=asked: asked.compile(program.like),
      # That of a dry run.
      lambda lowered=lowered, wrong=wrong: aot.compile_with_text(
        lowered, wrong
      ),
    ):
      with pytest.raises(errors.UserError) as e:
        compile_it()
      assert next(iter(wrong)) in e.value.seen
      assert e.value.key == "hardware.compiler"
