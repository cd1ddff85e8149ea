"""The documented keys themselves."""

import dataclasses

import phrases
import pytest

from jmim.core import base_config
from jmim.core import config as configs
from jmim.core import validate

KEYS = {**base_config.KEYS, **base_config.APPLIED}
FREE = ("method.type", "data.name")  # a recipe must set them


@pytest.mark.parametrize("path", KEYS)
def test_every_key_is_documented_and_its_default_allowed(path):
  key = KEYS[path]
  validate.check_limits(path, key.default, key.metadata)
  assert validate.typed(path, key.default, key.default) == key.default
  assert isinstance(key.default, bool | int | float | str | tuple)


@pytest.mark.parametrize("path", KEYS)
def test_the_documentation_of_a_key_stands_alone(path):
  doc = KEYS[path].metadata["doc"]
  assert len(doc) > 5 and not doc.endswith(".")
  assert not phrases.leaning({path: doc})


@pytest.mark.parametrize(
  "path", [p for p in KEYS if "choices" in KEYS[p].metadata]
)
def test_choices_are_of_one_type(path):
  choices = KEYS[path].metadata["choices"]
  assert {type(c) for c in choices} == {type(KEYS[path].default)}


def test_the_base_has_every_key_and_no_other():
  paths = set(validate.paths(configs.base().to_dict()))
  sections = {f"{s}.players" for s in base_config.PER_PLAYER} | {"evals"}
  assert paths == set(base_config.KEYS) | sections


def test_the_base_passes_its_own_checks_but_for_what_a_recipe_must_say():
  config = configs.base()
  config.method.type, config.data.name = "mim.mae", "cifar10"
  validate.validate(config)


def test_the_base_is_fresh_each_time():
  first = configs.base()
  first.optim.lr = 5.0
  first.optim.players.main = configs.section(lr=1.0)
  second = configs.base()
  assert second.optim.lr == KEYS["optim.lr"].default
  assert not second.optim.players


def test_durations_come_in_three_units_and_are_not_given():
  stems = {p.removesuffix("_images") for p in KEYS if p.endswith("_images")}
  assert "train.total" in stems and "schedule.warmup" in stems
  for stem in stems:
    for unit in ("steps", "epochs", "images"):
      key = KEYS[f"{stem}_{unit}"]
      assert key.default == 0 and key.metadata["low"] == 0
    assert isinstance(KEYS[f"{stem}_epochs"].default, float)


def test_no_size_is_per_device():
  assert not [p for p in KEYS if "per_device" in p or "per_host" in p]


@pytest.mark.parametrize(
  "path, default",
  [
    ("seed", 0),
    ("data.crop_ratio", (3 / 4, 4 / 3)),
    ("hardware.prefetch", 2),
    ("hardware.mesh.data", -1),
    ("schedule.warmup_epochs", 0.0),
    ("optim.b2", 0.95),
  ],
)
def test_a_key_is_read_off_the_field_of_its_section(path, default):
  assert KEYS[path].default == default
  assert validate.get(configs.base(), path) == default


def test_every_section_documents_itself_where_it_is_shown_whole():
  for f in dataclasses.fields(base_config.Base):
    assert f.metadata["doc"].strip()


def test_the_keys_are_those_of_a_method_or_of_a_procedure():
  assert base_config.keys({}) is base_config.KEYS
  assert "apply.num" not in base_config.KEYS
  found = base_config.keys({"procedure": {}})
  assert "apply.num" in found and "optim.lr" not in found
  assert base_config.needed({}) == (
    "method.type",
    "procedure.type",
    "data.name",
  )
  assert "data.name" not in base_config.needed({"procedure": {}})
