"""Which key an input of another shape is due to; more in test_inputs."""

import dataclasses

import pytest

from jmim.core import method
from jmim.core.settings import data as settings
from jmim.data import other_shape

DATA = settings.Data(size=8)


@pytest.mark.parametrize(
  ("fields", "shape", "needed", "key", "fix"),
  [
    ({}, (8, 8, 3), (9, 9, 3), "data.size", "method.size"),
    ({"height": 6}, (6, 8, 3), (8, 8, 3), "data.height", "data.height=0"),
    ({"height": 6}, (6, 8, 3), (5, 8, 3), "data.height", "method.height"),
    ({}, (8, 8, 3), (6, 8, 3), "data.height", "method.height"),
    ({}, (8, 8, 3), (4, 8, 8, 3), "data.group", "data.members=4"),
    (
      {"group": "label", "members": 2, "height": 6},
      (2, 6, 8, 3),
      (4, 6, 8, 3),
      "data.members",
      "data.members=4",
    ),
    (
      {"group": "label", "members": 2},
      (2, 8, 8, 3),
      (8, 8, 3),
      "data.members",
      "reads groups only",
    ),
    (
      {"group": "label", "members": 2, "height": 6},
      (2, 6, 8, 3),
      (2, 8, 8, 3),
      "data.height",
      "squares",
    ),
  ],
)
def test_the_key_that_differs_is_named(fields, shape, needed, key, fix):
  found = other_shape.error(
    dataclasses.replace(DATA, **fields),
    "image",
    shape=shape,
    needed=method.Input(needed),
    reader="mim.some",
  )
  assert found.key == key
  for word in (fix, str(shape), str(needed), "mim.some"):
    assert word in str(found)
