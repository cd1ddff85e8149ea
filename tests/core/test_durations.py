"""What follows the length of a run, when it is overridden."""

import logging

import pytest

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import recipes
from jmim.core import units
from jmim.session import build
from jmim.session import checks


def config(total, schedule, batch=10):
  made = configs.base()
  made.data.batch = batch
  made.train.update(total)
  made.schedule.update(schedule)
  return made


def given(section, stem):
  found = {u: section[f"{stem}_{u}"] for u in units.UNITS}
  return {u: value for u, value in found.items() if value}


@pytest.mark.parametrize("name", recipes.names())
def test_a_short_trial_of_every_recipe_needs_no_other_key(name):
  recipe = configs.load(name)
  if "procedure" in recipe:
    pytest.skip("trains nothing")
  short = configs.override(recipe, ["train.total_steps=20"])
  checks.check_durations(short, 20, 10_000)
  build.make_schedule(short)
  checks.check_lengths(discovery.make(short.method).lengths(), 20)
  peak = given(short.schedule, "warmup").get("steps", 0)
  assert peak <= 20


@pytest.mark.parametrize(
  ("recipe", "item", "expected"),
  [
    # The same unit: it has room, or it becomes a share.
    ([{"total_epochs": 800.0}, {"warmup_epochs": 40.0}], 400, {"epochs": 40.0}),
    ([{"total_epochs": 800.0}, {"warmup_epochs": 40.0}], 20, {"epochs": 1.0}),
    ([{"total_epochs": 800.0}, {"warmup_epochs": 40.0}], 2000, {"epochs": 40}),
    # Steps and images are compared, of 10 examples a step.
    ([{"total_images": 8000}, {"warmup_steps": 80}], 900, {"steps": 80}),
    ([{"total_images": 8000}, {"warmup_steps": 80}], 400, {"images": 40}),
    # Epochs of unknown length; steps in them cannot be judged.
    ([{"total_epochs": 9.0}, {"warmup_steps": 80}], 3, {"steps": 80}),
  ],
)
def test_a_warmup_stays_or_becomes_its_share(recipe, item, expected):
  unit = next(iter(recipe[0]))
  found = configs.override(config(*recipe), [f"train.{unit}={item}"])
  assert given(found.schedule, "warmup") == expected


def test_another_unit_gets_the_share_or_a_tenth():
  epochs = config({"total_epochs": 100.0}, {"warmup_epochs": 5.0})
  found = configs.override(epochs, ["train.total_steps=40"])
  assert given(found.schedule, "warmup") == {"steps": 2}
  found = configs.override(epochs, ["train.total_steps=4"])
  assert given(found.schedule, "warmup") == {"steps": 1}  # one at least
  mixed = config({"total_epochs": 100.0}, {"warmup_steps": 500})
  found = configs.override(mixed, ["train.total_steps=40"])
  assert given(found.schedule, "warmup") == {"steps": 4}
  found = configs.override(mixed, ["train.total_steps=600"])
  assert given(found.schedule, "warmup") == {"steps": 500}


def test_parts_that_have_no_room_together_are_shares(caplog):
  both = config({"total_steps": 100}, {"warmup_steps": 10, "hold_steps": 20})
  with caplog.at_level(logging.WARNING):
    found = configs.override(both, ["train.total_steps=30"])
    assert given(found.schedule, "hold") == {"steps": 20}
    assert not caplog.records
    found = configs.override(both, ["train.total_steps=20"])
  assert given(found.schedule, "warmup") == {"steps": 2}
  assert given(found.schedule, "hold") == {"steps": 4}
  assert "schedule.warmup is 2 steps (it was 10 steps)" in caplog.text


def test_a_curriculum_of_the_method_follows(caplog):
  found = configs.override(configs.load("lmd_digits"), ["train.total_steps=40"])
  assert found.method.curriculum.steps == 40
  assert "method.curriculum.steps is 40 steps" in caplog.text
  items = ["train.total_steps=40", "method.curriculum.steps=30"]
  found = configs.override(configs.load("lmd_digits"), items)
  assert found.method.curriculum.steps == 30  # refused when it is checked


def test_what_is_given_with_it_stays(caplog):
  long = config({"total_steps": 100}, {"warmup_steps": 50})
  for items in (
    ["train.total_steps=20", "schedule.warmup_steps=30"],
    ["schedule.warmup_steps=30", "train.total_steps=20"],
  ):
    found = configs.override(long, items)
    assert found.schedule.warmup_steps == 30  # refused when it is checked
  found = configs.override(
    long, ["train.total_steps=20", "schedule.warmup_share=0.5"]
  )
  assert given(found.schedule, "warmup") == {}
  assert not caplog.records


def test_without_a_length_nothing_is_changed():
  bare = config({}, {"warmup_steps": 50})
  for total in (0, 20):
    found = configs.override(bare, [f"train.total_steps={total}"])
    assert found.schedule.warmup_steps == 50
