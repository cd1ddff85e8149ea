"""Recipes, their arguments, and overrides from the command line."""

import pathlib

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import units
from jmim.core import validate
from jmim.methods.mim import mae

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "configs").glob("*.py"))


def recipe(tmp_path, body, head="def get_config(arg=None):"):
  """The path of a recipe with this body."""
  lines = ["from jmim.core import config as configs", head]
  path = tmp_path / "recipe.py"
  path.write_text("\n".join([*lines, *(f"  {line}" for line in body)]) + "\n")
  return str(path)


@pytest.fixture
def config():
  found = configs.base()
  found.method.type, found.data.name = "mim.mae", "cifar10"
  found.evals = configs.section(
    knn=configs.section(type="knn", every_epochs=2.0),
    probe=configs.section(type="probe"),
  )
  return found


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_loads_and_is_valid(path):
  found = configs.load(str(path))
  validate.validate(found)
  if "procedure" in found:
    return
  for stem in ("total", "checkpoint"):
    units.steps(found.train, stem, found.data.batch, 1000)  # one unit at most
  assert units.steps(found.train, "total", found.data.batch, 1000) > 0


def test_a_recipe_gets_its_argument(tmp_path):
  path = recipe(
    tmp_path,
    [
      "arg = configs.parse_arg(arg, lr=0.1, variant='B/16', flip=True)",
      "config = configs.base()",
      "config.optim.lr = arg.lr",
      "config.data.update(name=arg.variant, flip=arg.flip)",
      "return config",
    ],
  )
  assert configs.load(path).optim.lr == 0.1
  found = configs.load(f"{path}:lr=3,variant=L/16,flip=False")
  assert (found.optim.lr, found.data.name, found.data.flip) == (
    3,
    "L/16",
    False,
  )
  with pytest.raises(errors.UserError, match="did you mean 'variant'"):
    configs.load(f"{path}:varant=L/16")
  with pytest.raises(errors.UserError, match="float"):
    configs.load(f"{path}:lr=high")


@pytest.mark.parametrize(
  "body, head, text",
  [
    (["pass"], "def config():", "has no get_config"),
    (["configs.base()"], "def get_config():", "returned NoneType"),
    (["return {}"], "def get_config():", "returned dict"),
  ],
)
def test_what_is_no_recipe_is_told(tmp_path, body, head, text):
  with pytest.raises(errors.UserError, match=text) as e:
    configs.load(recipe(tmp_path, body, head))
  assert e.value.key == "--config"


def test_files_that_are_not_there_or_not_python(tmp_path):
  with pytest.raises(errors.UserError, match="no such file"):
    configs.load(str(tmp_path / "recipe.py"))
  (tmp_path / "recipe.txt").write_text("x")
  with pytest.raises(errors.UserError, match="no Python file"):
    configs.load(str(tmp_path / "recipe.txt"))


def test_the_nearest_recipes_are_named(tmp_path, monkeypatch):
  (tmp_path / "configs").mkdir()
  for name in ("mae_digits", "umd_digits", "dit_imagenet256", "x", "y", "z"):
    (tmp_path / "configs" / f"{name}.py").touch()
  monkeypatch.chdir(tmp_path)
  with pytest.raises(errors.UserError, match="such as configs/mae_digits") as e:
    configs.load("configs/mae_digts.py")
  assert "imagenet" not in str(e.value)


def test_a_mistake_in_the_code_of_a_recipe_keeps_its_traceback(tmp_path):
  with pytest.raises(ZeroDivisionError):
    configs.load(recipe(tmp_path, ["return 1 / 0"]))


@pytest.mark.parametrize(
  "item, expected",
  [
    ("optim.lr=1e-3", 1e-3),
    ("optim.lr=1", 1.0),
    ("data.batch=64", 64),
    ("data.flip=False", False),
    ("data.name=digits/scattered", "digits/scattered"),
    ("data.data_dir=", ""),
    ("data.mean=(0,0,0)", (0.0, 0.0, 0.0)),
    ("data.mean=[0.5, 0.5, 0.5]", (0.5, 0.5, 0.5)),
    ("optim.freeze=('a=b', 'c')", ("a=b", "c")),
    ("hardware.mesh.fsdp=4", 4),
    ("seed=7", 7),
    ("method.norm_pix=False", False),
    ("method.dims.depth=3", 3),
    ("method.dims.variant=B/16", "B/16"),
    ("evals.knn.k=(10, 20)", (10, 20)),
    ("optim.players.main.lr=1", 1.0),
    ("optim.players.main.name=sgd", "sgd"),
    ("ema.decay=0", 0.0),
  ],
)
def test_overrides_are_typed(config, item, expected):
  before = config.to_dict()
  found = configs.override(config, [item])
  value = validate.get(found, item.partition("=")[0])
  assert value == expected and type(value) is type(expected)
  validate.validate(found)
  assert config.to_dict() == before  # the given one is not changed


def test_overrides_do_not_touch_anything_else(config):
  found = configs.override(
    config, ["optim.lr=0.5", "optim.players.main.b1=0.5"]
  )
  changed = configs.changes(config.to_dict(), found.to_dict())
  assert changed.keys() == {"optim.lr", "optim.players.main.b1"}


@pytest.mark.parametrize(
  "item, key",
  [
    ("data.bach=3", "data.bach"),
    ("dta.batch=3", "dta.batch"),
    ("data.batch.x=3", "data.batch.x"),
    ("data.batch", "data.batch"),
    ("data.batch=many", "data.batch"),
    ("data.batch=1.5", "data.batch"),
    ("data.flip=1", "data.flip"),
    ("data=3", "data"),
    ("bogus=3", "bogus"),
    ("=3", ""),
    ("evals.fid=None", "evals.fid"),
    ("evals.fid.type=fid", "evals.fid.type"),
    ("optim.players.main=3", "optim.players.main"),
    ("optim.players.main.lrr=3", "optim.players.main.lrr"),
    ("optim.players.main.lr=x", "optim.players.main.lr"),
    ("schedule.players.main.lr=1", "schedule.players.main.lr"),
  ],
)
def test_wrong_overrides_name_their_key(config, item, key):
  with pytest.raises(errors.UserError) as e:
    configs.override(config, [item])
  assert e.value.key == key and e.value.fix


def test_one_unit_of_a_duration_clears_the_others(config):
  config.train.update(total_epochs=800.0, checkpoint_images=5)
  found = configs.override(config, ["train.total_steps=100"])
  assert found.train.total_steps == 100
  assert found.train.total_epochs == 0.0
  assert isinstance(found.train.total_epochs, float)
  assert found.train.checkpoint_images == 5
  found = configs.override(config, ["evals.knn.every_steps=3"])
  assert found.evals.knn.every_epochs == 0.0


def test_a_warmup_is_a_share_or_a_duration(config):
  config.schedule.warmup_share = 0.1
  found = configs.override(config, ["schedule.warmup_steps=3"])
  assert (found.schedule.warmup_share, found.schedule.warmup_steps) == (0, 3)
  found = configs.override(found, ["schedule.warmup_share=0.2"])
  assert (found.schedule.warmup_share, found.schedule.warmup_steps) == (0.2, 0)


def test_none_removes_evaluators(config):
  assert list(configs.override(config, ["evals=None"]).evals) == []
  assert "knn" in config.evals
  config.evals.knn = None  # as a recipe may have it
  assert "knn" not in configs.override(config, []).evals
  config.evals = None
  assert list(configs.override(config, []).evals) == []


def test_none_in_a_recipe_is_gone_when_it_is_loaded(tmp_path):
  body = ["config = configs.base()", "config.evals.knn = None"]
  path = recipe(tmp_path, [*body, "return config"])
  assert list(configs.load(path).evals) == []
  path = recipe(tmp_path, [*body, "config.evals = None", "return config"])
  assert list(configs.load(path).evals) == []


def test_taking_a_config_in_leaves_that_one_as_it_is(config):
  config.evals.update(loss=None)
  assert list(configs.taken(config).evals) == ["knn", "probe"]
  assert list(config.evals) == ["knn", "loss", "probe"]


def test_a_zero_clears_itself_only(config):
  config.train.update(total_epochs=800.0, total_steps=7)
  found = configs.override(config, ["train.total_steps=0"])
  assert found.train.total_epochs == 800.0 and found.train.total_steps == 0


@pytest.mark.parametrize("older", [{}, {"depth": 7}])
def test_a_part_is_overridden_where_the_recipe_has_no_such_section(
  config, older
):
  """A recipe may have the key under its older, flat name: it gives way."""
  config.method.update(older)
  found = configs.override(config, ["method.dims.depth=3"])
  assert found.method.to_dict() == {"type": "mim.mae", "dims": {"depth": 3}}
  built = validate.build(mae.MAE, found.method, "method")
  assert built.dims.depth == 3 and built.dims.variant == "B/16"


def test_of_two_names_of_a_key_the_later_wins(config):
  items = ["method.dims.depth=3", "method.depth=4"]
  for order, depth in ((items, 4), (items[::-1], 3)):
    found = configs.override(config, order)
    assert validate.build(mae.MAE, found.method, "method").dims.depth == depth
  whole = configs.override(config, ["method.depth=4", "method.dims={}"])
  assert validate.build(mae.MAE, whole.method, "method") == mae.MAE()


@pytest.mark.parametrize(
  "item, near",
  [
    ("method.dims.widht=3", "method.dims.width"),
    ("method.widht=3", "method.dims.width"),
    ("method.dimz.width=3", "method.dims"),
    ("method.mask_ration=0.5", "method.mask_ratio"),
    ("method.decoder_dims.depht=1", "method.decoder_dims.depth"),
  ],
)
def test_a_misspelt_key_of_a_part_is_named_with_the_nearest(config, item, near):
  found = configs.override(config, [item])
  with pytest.raises(errors.UserError) as e:
    validate.build(mae.MAE, found.method, "method")
  assert e.value.fix == f"did you mean {near!r}?"
  assert item.startswith(e.value.key)


def test_the_last_override_wins(config):
  found = configs.override(
    config, ["train.total_steps=5", "train.total_epochs=2", "seed=1", "seed=2"]
  )
  assert found.train.total_steps == 0 and found.train.total_epochs == 2.0
  assert found.seed == 2


def test_none_removes_an_evaluator(config):
  found = configs.override(config, ["evals.knn=None"])
  assert list(found.evals) == ["probe"] and "knn" in config.evals
  with pytest.raises(errors.UserError, match=r"evals\.probe"):
    configs.override(found, ["evals.prob=None"])


def test_a_player_has_the_common_settings_and_its_own(config):
  found = configs.override(
    config, ["optim.lr=0.5", "optim.players.judge.name=sgd", "optim.b1=0.8"]
  )
  judge = configs.for_player(found, "optim", "judge")
  maker = configs.for_player(found, "optim", "maker")
  assert (judge["name"], judge["lr"], judge["b1"]) == ("sgd", 0.5, 0.8)
  assert maker["name"] == "adamw" and judge | {"name": "adamw"} == maker
  assert "players" not in judge


def test_changes_between_two_configs(config):
  after = configs.override(config, ["seed=3", "evals.knn=None"]).to_dict()
  lines = configs.changes(config.to_dict(), after)
  assert lines["seed"] == "seed: 0 -> 3" and len(lines) == 3
  assert lines["evals.knn.type"] == "evals.knn.type: knn -> None"
  assert configs.changes(after, after) == {}


def test_a_newer_key_is_no_change_while_it_is_at_its_default(config):
  now = config.to_dict()
  now["evals"] = {"x": {"type": "loss", "limit": 3}}
  before = {**now, "evals": {}}
  data = now["data"]
  before["data"] = {"batch": 1 + data["batch"], "name": data["name"]}
  found = configs.changes(before, now, {"evals.x.limit": 3})
  assert found.keys() == {"data.batch", "evals.x.type"}
  now["data"] = {**now["data"], "eval_share": 0.5}
  found = configs.changes(before, now, {"evals.x.limit": 2})
  assert found.keys() == {
    "data.batch",
    "data.eval_share",
    "evals.x.limit",
    "evals.x.type",
  }


def test_lists_are_tuples_that_json_has_read():
  before = {"a": ((1, 2), 3), "b": {}, "c": {"d": 0}}
  assert configs.changes(before, {"a": [[1, 2], 3], "c": {"d": 0}}) == {}
  assert configs.changes(before, {"a": [[1, 2], 4]}).keys() == {"a", "c.d"}


VERY_TEXT = ("2024_10", "2024.10", "1e-4", "0x10", "None", "on", "True", "'a'")


@pytest.mark.parametrize("text", VERY_TEXT)
@pytest.mark.parametrize(
  "key",
  (
    "data.data_dir",
    "train.keep_best",
    "method.dims.variant",
    "evals.probe.predict",
    "optim.players.main.name",
  ),
)
def test_a_key_of_text_gets_the_very_text(config, key, text):
  found = configs.override(config, [f"{key}={text}"])
  assert validate.get(found, key) == text


def test_an_argument_of_text_gets_the_very_text():
  found = configs.parse_arg("data=2024_10,n=0x10", data="a", n=1)
  assert (found.data, found.n) == ("2024_10", 16)


@pytest.mark.parametrize(
  "item",
  (
    "data.batch=None",
    "data.batch=1e3",
    "ema.warmup=on",
    "optim.lr=None",
    "optim.lr=1e-4x",
    "init_from.skip=abc",
  ),
)
def test_a_key_of_another_type_gets_it_or_an_error(config, item):
  with pytest.raises(errors.UserError, match=item.partition("=")[0]):
    configs.override(config, [item])


def test_the_path_of_a_recipe_may_have_a_colon_and_a_home(
  tmp_path, monkeypatch
):
  monkeypatch.setenv("HOME", str(tmp_path))
  (tmp_path / "a:b").mkdir()
  recipe(tmp_path / "a:b", ["return configs.section(got=arg)"])
  found = configs.load("~/a:b/recipe.py:x:y")
  assert found.got == "x:y"


def test_a_procedure_has_a_config_of_its_own():
  config = configs.procedure()
  config.procedure = configs.section(type="edit.img2img")
  validate.validate(config)  # it may read no data
  made = configs.override(
    config, ["procedure.source.path=1", "procedure.steps=3", "apply.num=4"]
  )
  assert made.procedure.source.path == "1" and made.procedure.steps == 3
  assert made.apply.num == 4 and made.apply.splits == ("eval",)
  for name in ("method", "optim", "schedule", "train"):
    assert name not in config
  for item, key in (
    ("apply.nmu=3", "apply.nmu"),
    ("optim.lr=1e-3", "optim.lr"),
    ("apply.num=-1", "apply.num"),
  ):
    with pytest.raises(errors.UserError) as e:
      validate.validate(configs.override(config, [item]))
    assert e.value.key == key


def test_a_procedure_among_what_is_trained_is_refused():
  config = configs.base()
  config.procedure = configs.section(type="edit.img2img")
  with pytest.raises(errors.UserError, match="configs.procedure") as e:
    validate.validate(config)
  assert e.value.key == "procedure"
  config = configs.procedure()
  with pytest.raises(errors.UserError) as e:
    validate.validate(config)
  assert e.value.key == "procedure.type"
