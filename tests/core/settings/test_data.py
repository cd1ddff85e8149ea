"""The section `data`."""

import dataclasses

import pytest

from jmim.core import config as configs
from jmim.core import validate
from jmim.core.settings import data


def test_an_image_has_the_side_and_the_channels():
  assert data.Data().image == (224, 224, 3)
  assert data.Data(size=8, channels=1).image == (8, 8, 1)


def test_the_section_of_the_base_builds_the_defaults():
  section = configs.base().data
  assert validate.build(data.Data, section, "data") == data.Data()
  assert set(section) == {f.name for f in dataclasses.fields(data.Data)}


def test_settings_can_be_an_argument_that_a_compiler_keeps():
  """Hashable, also from a config, whose tuples may have been lists."""
  section = configs.base().data
  section.update(mean=[0, 0, 0], crop_scale=[0.1, 1])
  built = validate.build(data.Data, section, "data")
  assert built.mean == (0.0, 0.0, 0.0) and built.crop_scale == (0.1, 1.0)
  assert hash(built) == hash(dataclasses.replace(built))


@pytest.mark.parametrize(
  "name", ["crop_scale", "crop_ratio", "view_scale", "local_scale"]
)
def test_ranges_are_of_increasing_numbers(name):
  low, high = getattr(data.Data(), name)
  assert 0 < low < high
