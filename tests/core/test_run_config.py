"""The config of a run, read again, and compared."""

import json

import pytest

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import run_config
from jmim.core import validate


def test_a_config_comes_back_as_it_was_stored(tmp_path):
  config = configs.base()
  config.method = configs.section(type="mim.mae", norm_pix=False)
  config.data.update(name="folder", mean=(0.1, 0.2, 0.3), mixture=(("a", 2),))
  config.evals = configs.section(k=configs.section(type="knn", k=(1, 5)))
  config.optim.players.main = configs.section(lr=0.5)
  (tmp_path / "config.json").write_text(config.to_json(), encoding="utf-8")
  found = run_config.load(tmp_path)
  assert found.to_dict() == config.to_dict()
  validate.validate(found)


def test_keys_that_are_newer_than_the_run_are_at_their_defaults(tmp_path):
  stored = json.loads(configs.base().to_json())
  stored["data"] = {"name": "folder", "batch": 7}
  del stored["sample"]
  (tmp_path / "config.json").write_text(json.dumps(stored), encoding="utf-8")
  found = run_config.load(tmp_path)
  assert (found.data.batch, found.data.size) == (7, 224)
  assert found.sample.num == configs.base().sample.num


@pytest.mark.parametrize("text", (None, "", "[1]", "{"))
def test_a_folder_without_one_is_named(tmp_path, text):
  if text is not None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
  with pytest.raises(errors.UserError, match="no --config"):
    run_config.load(tmp_path)


@pytest.mark.parametrize(
  "key, decay, wanted",
  (
    ("method.noise.beta_end", 0.9, True),
    ("method.norm_pix", 0.9, True),
    ("method.dims.width", 0.9, True),
    ("method.type", 0.9, True),
    ("method.sampling.guidance", 0.9, False),
    ("method.prior.path", 0.9, False),
    ("method.noise.spacing", 0.9, False),
    ("method.ladder.rungs", 0.9, False),
    ("method.first_stage.implicit.side", 0.9, False),
    ("method.first_stage.implicit.hidden", 0.9, True),
    ("data.mean", 0.9, True),
    ("data.size", 0.9, True),
    ("data.data_dir", 0.9, False),
    ("evals.knn.k", 0.9, False),
    ("ema.decay", 0.9, False),
    ("ema.decay", 0.0, True),  # there is no EMA to look at
  ),
)
def test_which_keys_change_what_weights_mean(key, decay, wanted):
  owners = {"prior": "latent.diffusevae", "ladder": "diffusion.linfusion"}
  kind = owners.get(key.split(".")[1], "latent.arbscale")
  before = {"method": {"type": kind}, "ema": {"decay": decay}}
  assert run_config.of_weights([key], before) == [key] * wanted


def test_each_method_says_what_is_asked_of_its_weights():
  """The core knows none of these names: they stand with the fields."""
  of = lambda name: field.asked(discovery.find(name))
  assert {"sampling.steps", "noise.spacing"} <= of("diffusion.ddpm")
  assert "episode.test_shots" in of("dense.diffews")
  assert "sampling.type" in of("discrete.mdm")
  assert not of("mim.mae")


def test_a_module_of_the_config_before_is_not_imported_to_compare():
  before = {"method": {"type": "no.such.module"}, "ema": {"decay": 0.9}}
  found = run_config.of_weights(["method.x", "data.batch"], before)
  assert found == ["method.x"]
