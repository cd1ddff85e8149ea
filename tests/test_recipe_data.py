"""The data of every small recipe: read, cropped and as its method wants them.

Large recipes read data sets that nobody has prepared here.
"""

import pathlib

import pytest

from jmim.core import config as configs
from jmim.core import discovery
from jmim.data import inputs as settings
from jmim.data import pipeline
from jmim.session import build
from jmim.session import opened

FOLDER = pathlib.Path(__file__).parents[1] / "configs"
SETS = (
  "digits/",
  "shapes/",
  "scenes/",
  "faces/",
  "glyphs/",
  "regions/",
  "membranes/",
  "views/",
  "cifar10",
)
SLOW = ("digits/scattered", *SETS[1:-1])


def recipes():
  """The configs of recipes that read one of SETS."""
  for path in sorted(FOLDER.glob("*.py")):
    config = configs.load(str(path))
    marks = [pytest.mark.slow] * config.data.name.startswith(SLOW)
    if config.data.name.startswith(SETS) and "method" in config:
      yield pytest.param(config, id=path.stem, marks=marks)


RECIPES = list(recipes())


def test_there_are_some():
  assert len(RECIPES) > 20


@pytest.mark.parametrize("config", RECIPES)
def test_examples_of_both_splits(config, request, tmp_path_factory):
  if config.data.name.startswith("cifar10"):
    config.data.data_dir = request.getfixturevalue("tfds_dir")
  else:
    config.data.data_dir = str(tmp_path_factory.getbasetemp() / "made")
  spec, splits = build.make_spec(config), opened.make_sources(config)
  inputs = discovery.make(config.method).inputs()
  settings.check_settings(spec, inputs, config.method.type)
  pipeline.check_example(splits["train"], spec, training=True, inputs=inputs)
  made = pipeline.check_example(splits["eval"], spec, training=False)
  if config.data.eval_volume:  # read in windows
    assert made["volume"].shape[1:] == tuple(config.data.eval_volume)
    return
  for name, needed in inputs.items():
    assert made[name].shape[1:] == needed.shape, name
