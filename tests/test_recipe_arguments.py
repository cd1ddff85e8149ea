"""Wrong arguments of a recipe are errors that say so, or values of keys."""

import contextlib
import dataclasses
import importlib.util
from typing import Any

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import recipes

WRONG = "neither_name_nor_path"


@dataclasses.dataclass
class Asked:
  """`parse_arg`, which keeps the defaults it was called with."""

  known: dict[str, Any] = dataclasses.field(default_factory=dict)
  own = staticmethod(configs.parse_arg)

  def __call__(self, arg, **known):
    self.known = self.known or known
    return self.own(arg, **known)


def load(name):
  path = recipes.path(name)
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config


def ignored(get_config, name):
  """Whether the wrong word is taken, and is nowhere in the config."""
  try:
    config = get_config(f"{name}={WRONG}")
  except errors.UserError:
    return False
  return not any(WRONG in repr(x) for x in configs.flat(config).values())


@pytest.fixture(params=recipes.names())
def recipe(request, monkeypatch):
  """`get_config` of a recipe, and its arguments with their defaults."""
  get_config, asked = load(request.param), Asked()
  monkeypatch.setattr(configs, "parse_arg", asked)
  get_config()
  return get_config, asked.known


def test_wrong_words(recipe):
  """But for paths: one that is "" may be of another stage of the recipe."""
  get_config, known = recipe
  words = {n for n, x in known.items() if isinstance(x, str)}
  optional = {n for n in words if not known[n]}
  found = {n for n in words if ignored(get_config, n)}
  assert found <= optional, found


def test_wrong_numbers(recipe):
  """None of them ends in a traceback: division by zero, a key of no table."""
  get_config, known = recipe
  numbers = [n for n, x in known.items() if isinstance(x, int | float)]
  for item in [f"{n}={x}" for n in numbers for x in (0, 997)]:
    with contextlib.suppress(errors.UserError):
      get_config(item)
