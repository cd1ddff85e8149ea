"""The flags of the command line."""

import pathlib

import pytest
from absl import flags as absl_flags

from jmim.core import config as configs
from jmim.core import errors
from jmim.modes import flags

pytestmark = pytest.mark.usefixtures("restored_flags")


@pytest.fixture
def recipe(tmp_path):
  path = tmp_path / "recipe.py"
  path.write_text(
    "from jmim.core import config as configs\n"
    "def get_config(arg=None):\n"
    "  config = configs.base()\n"
    "  config.data.name, config.method.type = 'digits/plain', 'toys'\n"
    "  config.seed = int(arg or 0)\n"
    "  return config\n"
  )
  return path


def parse(*argv):
  return flags.parse(["jmim", *argv])


def test_overrides_are_taken_apart_from_flags():
  items = parse("--config.seed=3", "--mode=eval", "--config.optim.lr=1e-3")
  assert items == ["seed=3", "optim.lr=1e-3"] and flags.mode() == "eval"


@pytest.mark.parametrize(
  "argv, seen",
  [
    (["--workdri=x"], "workdri"),
    (["--mode=fly"], "fly"),
    (["--replay_step=0"], "replay_step"),
    (["runs/digits"], "argument 'runs/digits'"),
    (["--config.seed", "3"], "argument '3'"),
  ],
)
def test_what_is_no_flag_is_named(argv, seen):
  with pytest.raises(errors.UserError) as e:
    parse(*argv)
  assert seen in e.value.seen


@pytest.mark.parametrize(
  "argv, mode, options",
  [
    ([], "train", {"verbose": False}),
    (["--mode=eval"], "eval", {"allow_changes": False}),
    (
      ["--mode=eval", "--replay_step=3"],
      "replay",
      {"replay_step": 3, "allow_changes": False},
    ),
    # --num is a key of the config.
    (["--mode=sample", "--num=4"], "sample", {"allow_changes": False}),
    (
      ["--mode=sample", "--allow_changes"],
      "sample",
      {"allow_changes": True},
    ),
    (
      ["--mode=dry_run", "--topology=cpu:8", "--tune"],
      "dry_run",
      {"topology": "cpu:8", "slices": 1, "tune": True},
    ),
    (
      ["--mode=export", "--out=x", "--weights=ema"],
      "export",
      {
        "out": "x",
        "format": "safetensors",
        "weights": "ema",
        "head": None,
        "push": None,
        "private": False,
      },
    ),
  ],
)
def test_each_mode_gets_its_flags(argv, mode, options):
  parse(*argv)
  assert flags.mode() == mode and flags.options() == options


@pytest.mark.parametrize(
  "argv, key, expected, fix",
  [
    (["--replay_step=3"], "--replay_step", "--mode=eval", "set the mode"),
    (["--mode=eval", "--num=3"], "--num", "--mode=sample", "sample.num"),
    (["--weights=ema"], "--weights", "--mode=sample or --mode=export", "mode"),
    (["--tune"], "--tune", "--mode=dry_run", "set the mode"),
    (["--mode=export", "--slices=2"], "--slices", "--mode=dry_run", "mode"),
  ],
)
def test_a_flag_of_another_mode_is_a_mistake(argv, key, expected, fix):
  parse(*argv)
  with pytest.raises(errors.UserError) as e:
    flags.options()
  assert (e.value.key, e.value.expected) == (key, expected)
  assert fix in e.value.fix


def test_the_recipe_is_loaded_with_its_argument_and_overrides(recipe):
  items = parse(f"--config={recipe}:5", "--config.data.batch=8")
  config = flags.load_config(items)
  assert (config.seed, config.data.batch) == (5, 8)
  with pytest.raises(errors.UserError, match="data.bach"):
    flags.load_config(["data.bach=8"])


def test_short_flags_are_keys_of_the_config_of_samples(recipe):
  parse(f"--config={recipe}", "--mode=sample", "--num=9", "--steps=4")
  config = flags.load_config([])
  assert config.sample.num == 9 and config.method.sampling.steps == 4
  assert config.sample.seed == 0  # not given: as it is in the recipe


@pytest.mark.parametrize(
  "kind, key",
  [
    ("diffusion.ddpm", "method.sampling.sampler"),
    ("discrete.mdm", "method.sampling.type"),
  ],
)
def test_the_short_sampler_is_the_key_of_the_method(recipe, kind, key):
  parse(f"--config={recipe}", "--mode=sample", "--sampler=euler_ancestral")
  if kind == "discrete.mdm":
    parse(f"--config={recipe}", "--mode=sample", "--sampler=ancestral")
  recipe.write_text(recipe.read_text().replace("'toys'", repr(kind)))
  config = flags.load_config([])
  found = configs.flat(config.to_dict())
  assert found[key] in ("euler_ancestral", "ancestral")
  assert "method.sampler" not in found


def test_without_a_recipe_nothing_runs():
  absl_flags.FLAGS["config"].value = None
  parse()
  with pytest.raises(errors.UserError, match="no --config"):
    flags.load_config([])


def test_the_workdir_may_be_below_home():
  absl_flags.FLAGS["workdir"].value = None
  parse()
  assert flags.workdir() is None
  parse("--workdir=~/runs")
  assert flags.workdir() == pathlib.Path.home() / "runs"


def test_processes_are_named_where_no_cluster_says_it():
  parse("--coordinator=here:1", "--processes=2", "--process=1")
  assert flags.processes() == ("here:1", 2, 1)
