import pytest
import tinyrun

from jmim.modes import train
from jmim.session import assemble


@pytest.fixture(scope="session")
def toy(digits_home):
  """The config of a run of two toy players, without evaluators."""
  config = tinyrun.toy(digits_home)
  config = tinyrun.small(config, checkpoint_steps=2, total_steps=4)
  config.train.keep = 9
  return config


@pytest.fixture(scope="session")
def parts(toy):
  return assemble.make(toy)


@pytest.fixture(scope="session")
def trained(toy, tmp_path_factory):
  """The workdir of a run of four steps, with checkpoints at 2 and 4."""
  workdir = tmp_path_factory.mktemp("trained")
  train.run(toy, workdir)
  return workdir
