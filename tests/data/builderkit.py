"""Builders that make few examples, which are written and read back."""

import contextlib
import dataclasses
import itertools

import pytest

from jmim.data import sources
from jmim.data import splits


@contextlib.contextmanager
def few(cls, **changes):
  """A builder whose configs are changed so; gives them by their names.

  with few(Shapes, train=6, test=3) as configs: ...
  """
  configs = [dataclasses.replace(c, **changes) for c in cls.BUILDER_CONFIGS]
  named = {c.name: c for c in configs}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(cls, "BUILDER_CONFIGS", configs)
    patch.setattr(cls, "builder_configs", named)
    yield named


@contextlib.contextmanager
def built(cls, folder, **changes):
  """(config, split) -> what is read back of each; see `few`."""
  with few(cls, **changes) as configs:
    yield {
      (name, split): sources.build(f"{cls.name}/{name}", split, str(folder))
      for name, split in itertools.product(configs, splits.MADE)
    }
