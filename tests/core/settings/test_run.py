"""The sections of a run: they build what the base says, and no more."""

import pytest

from jmim.core import config as configs
from jmim.core import validate
from jmim.core.settings import run

SECTIONS = {
  "init_from": run.InitFrom,
  "train": run.Train,
  "ema": run.Ema,
  "sample": run.Sample,
  "logging": run.Logging,
}


@pytest.mark.parametrize("name", SECTIONS)
def test_the_section_of_the_base_builds_the_defaults(name):
  section = configs.base()[name]
  assert validate.build(SECTIONS[name], section, name) == SECTIONS[name]()
