"""Configs of runs before methods were made of parts go on working.

`older_sections.json` has their flat keys: `method` as the recipes set it at
that time, and complete sections, as config.json of a run has them.
"""

import json
import pathlib

import pytest

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import validate

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
OLDER = json.loads((HERE / "older_sections.json").read_text())


def build(section):
  entries = dict(section)
  cls = discovery.find(entries.pop("type"))
  return validate.build(cls, entries, "method")


def load(recipe):
  name, _, arg = recipe.partition(":")
  path = str(ROOT / "configs" / f"{name}.py")
  return configs.load(f"{path}:{arg}" if arg else path)


@pytest.mark.parametrize("recipe", OLDER["recipes"])
def test_a_flat_section_builds_what_the_recipe_builds(recipe):
  method = build(OLDER["recipes"][recipe])
  assert method == build(load(recipe).method.to_dict())
  method.inputs()  # and it fits together


@pytest.mark.parametrize("name", OLDER["complete"])
def test_a_complete_flat_section_builds_the_same_method(name):
  """These are the tiny methods, of which many fields are no defaults."""
  method = build(OLDER["complete"][name] | {"type": name})
  assert method == discovery.find(name).tiny()


def test_an_older_key_on_the_command_line_wins_over_the_recipe():
  config = configs.override(
    load("mae_cifar10"), ["method.width=64", "method.decoder_dims.depth=3"]
  )
  method = build(config.method.to_dict())
  assert method.dims.size.width == 64
  assert method.decoder_dims.depth == 3
  assert method.dims.size.depth == 4  # the recipe's
