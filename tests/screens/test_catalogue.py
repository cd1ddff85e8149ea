import pytest

from jmim.core import errors
from jmim.core import recipes
from jmim.screens import catalogue


def test_the_list_has_every_recipe_with_its_facts():
  text = catalogue.listing()
  heads = [line for line in text.splitlines() if not line.startswith(" ")]
  assert heads == recipes.names()
  assert max(map(len, text.splitlines())) <= catalogue.WIDTH
  block = text.partition("\nmae_digits\n")[2].partition("\nmae_folder\n")[0]
  about = recipes.about(recipes.path("mae_digits"))
  flat = " ".join(block.split())
  assert flat == (
    f"{about.title} mim.mae on digits/scattered; {about.size}; "
    f"time: {about.time} expect: {about.expect}"
  )


def test_a_word_chooses_by_name_method_or_data():
  names = [entry.name for entry in catalogue.entries("mim.mae")]
  assert "mae_digits" in names and "umd_digits" not in names
  data = {entry.data for entry in catalogue.entries("digits/scattered")}
  assert data == {"digits/scattered"}
  with pytest.raises(errors.UserError, match="--list=nonesuch"):
    catalogue.listing("nonesuch")


def test_a_recipe_shows_its_arguments_and_the_keys_it_sets():
  text = catalogue.recipe("mae_digits")
  assert text.startswith("MAE on scattered handwritten digits")
  assert "Arguments (--config=mae_digits:NAME=VALUE):\n  steps=1000\n" in text
  assert "  --config.method.mask_ratio=0.6\n" in text  # of the recipe
  assert "  --config.method.decoder_dims.width=48\n" in text
  assert "  --config.evals.probe.penalty=100.0\n" in text
  assert "  --config.data.batch=64\n" in text  # of every run
  assert "--config.train.profile_steps" not in text  # left at its default


def test_an_argument_changes_what_is_shown():
  assert "--config.train.total_steps=7\n" in catalogue.recipe(
    "mae_digits:steps=7"
  )


@pytest.mark.parametrize("none", ["evals", "evals.probe"])
def test_an_evaluator_that_is_none_is_not_shown(tmp_path, none):
  (tmp_path / "mine.py").write_text(
    "from jmim.core import config as configs\n"
    "def get_config():\n"
    "  config = configs.load('mae_digits')\n"
    f"  config.{none} = None\n"
    "  return config\n"
  )
  text = catalogue.recipe(str(tmp_path / "mine.py"))
  assert "Keys of method" in text and "Keys of evals.probe" not in text
  assert ("Keys of evals.loss" in text) == (none == "evals.probe")


def test_a_procedure_is_shown_too():
  assert "--config.procedure.strength=" in catalogue.recipe("img2img_digits")


def test_a_method_that_is_not_here_is_one_message(tmp_path):
  (tmp_path / "mine.py").write_text(
    "from jmim.core import config as configs\n"
    "def get_config():\n"
    "  config = configs.base()\n"
    "  config.method.type = 'nowhere.at_all'\n"
    "  return config\n"
  )
  with pytest.raises(errors.UserError, match="nowhere.at_all") as caught:
    catalogue.recipe(str(tmp_path / "mine.py"))
  assert caught.value.key == "method.type"
