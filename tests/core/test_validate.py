import dataclasses

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import validate


@dataclasses.dataclass(frozen=True)
class Part:
  """A documented dataclass, as methods and evaluators are."""

  depth: int = field.value(12, "layers", low=1)
  ratio: float = field.value(0.75, "share", low=0.0, below=1.0)
  head: str = field.value("ridge", "kind", choices=("ridge", "logistic"))
  k: tuple = field.value((20,), "neighbours")
  hidden: int = dataclasses.field(default=0, metadata={"config": False})


def complete(**sections):
  config = configs.base()
  config.method.type, config.data.name = "mim.mae", "cifar10"
  for name, entries in sections.items():
    config[name].update(entries)
  return config


@pytest.mark.parametrize(
  "value, like, expected",
  [
    (3, 1, 3),
    (3, 1.0, 3.0),
    (0.5, 1.0, 0.5),
    ([1, 2], (), (1, 2)),
    ((1, 0.5), (0.1, 0.2), (1.0, 0.5)),
    (["a"], ("b",), ("a",)),
    ("x", "y", "x"),
    (16, "y", "16"),
    (True, False, True),
    ("anything", None, "anything"),
  ],
)
def test_values_take_the_type_of_the_default(value, like, expected):
  found = validate.typed("a.b", value, like)
  assert found == expected and type(found) is type(expected)
  if isinstance(found, tuple):
    assert [type(x) for x in found] == [type(x) for x in expected]


@pytest.mark.parametrize(
  "value, like, kind",
  [
    (0.5, 1, "int"),
    (True, 1, "int"),
    ("8", 1, "int"),
    (True, 1.0, "float"),
    ("x", 1.0, "float"),
    (1, True, "bool"),
    ("true", True, "bool"),
    (0.5, (0.1, 0.2), "tuple"),
    ("abc", (), "tuple"),
    (("a", "b"), (0.1, 0.2), "float"),
    (None, "x", "str"),
  ],
)
def test_other_types_are_errors(value, like, kind):
  with pytest.raises(errors.UserError) as e:
    validate.typed("a.b", value, like)
  assert e.value.expected.startswith(kind) and e.value.key == "a.b"


@pytest.mark.parametrize(
  "limits, good, bad",
  [
    ({"low": 0}, [0, 5], [-1, -0.001]),
    ({"high": 1}, [1, -5], [1.001]),
    ({"above": 0}, [0.1], [0, -1]),
    ({"below": 1}, [0.99], [1, 2]),
    ({"low": 0, "below": 1}, [0, 0.5], [-1, 1]),
    ({"choices": ("a", "b")}, ["a", "b"], ["c", ""]),
    ({}, [1, "x"], []),
  ],
)
def test_limits(limits, good, bad):
  for value in good:
    validate.check_limits("a.b", value, limits)
  for value in bad:
    with pytest.raises(errors.UserError) as e:
      validate.check_limits("a.b", value, limits)
    assert e.value.seen == f"a.b={value!r}" and e.value.key == "a.b"
    for limit in limits.get("choices", limits.values()):
      assert repr(limit) in e.value.expected


@pytest.mark.parametrize(
  "name, near",
  [
    ("data.bach", "data.batch"),
    ("dta.batch", "data.batch"),
    ("batch", "data.batch"),
    ("weight_decay", "optim.weight_decay"),
    ("train.total_step", "train.total_steps"),
    ("xyzzy", None),
  ],
)
def test_unknown_names_give_near_misses(name, near):
  e = validate.unknown(name, complete_paths(), name)
  assert repr(name) in e.seen
  if near:
    assert near in e.expected
  else:
    assert "did you mean" not in e.fix


def complete_paths():
  return validate.paths(complete().to_dict())


def test_without_a_near_miss_the_keys_of_the_section_are_listed():
  e = validate.unknown("ema.zzzzzz", complete_paths(), "ema.zzzzzz")
  assert e.expected == "known keys: ema.decay, ema.warmup"
  e = validate.unknown("zzzzzz", complete_paths(), "zzzzzz")
  listed = e.expected.removeprefix("known keys: ").split(", ")
  assert {"data", "optim", "train", "seed"} <= set(listed)


@pytest.mark.parametrize(
  "section, entries, key",
  [
    ("data", {"bach": 3}, "data.bach"),
    ("data", {"batch": 0}, "data.batch"),
    ("data", {"channels": 2}, "data.channels"),
    ("optim", {"name": "adam"}, "optim.name"),
    ("optim", {"b1": 1.0}, "optim.b1"),
    ("hardware", {"mesh": {"data": -1, "layer": 2}}, "hardware.mesh.layer"),
  ],
)
def test_a_wrong_key_of_a_closed_section_is_named(section, entries, key):
  with pytest.raises(errors.UserError) as e:
    validate.validate(complete(**{section: entries}))
  assert e.value.key == key


def test_a_section_replaced_rather_than_updated_is_told():
  config = complete()
  config.data = configs.section(name="cifar10", batch=8)
  with pytest.raises(errors.UserError, match=r"the config has no data\.") as e:
    validate.validate(config)
  assert "update" in e.value.fix


@pytest.mark.parametrize("key", ["method.type", "data.name"])
def test_what_a_recipe_must_say(key):
  config = complete()
  section, name = key.split(".")
  config[section][name] = ""
  with pytest.raises(errors.UserError, match=f"{key} is empty"):
    validate.validate(config)


@pytest.mark.parametrize(
  "entries, key",
  [
    ({"lr": "high"}, "optim.players.main.lr"),
    ({"lr": -1.0}, "optim.players.main.lr"),
    ({"name": "adam"}, "optim.players.main.name"),
    ({"lrr": 1.0}, "optim.players.main.lrr"),
  ],
)
def test_settings_of_one_player_have_the_same_limits(entries, key):
  config = complete()
  config.optim.players.main = configs.section(**entries)
  with pytest.raises(errors.UserError) as e:
    validate.validate(config)
  assert e.value.key == key
  config.optim.players.main = configs.section(lr=0.5, name="sgd", freeze=("a",))
  validate.validate(config)


def test_keys_of_methods_and_evaluators_are_left_to_their_classes():
  config = complete(method={"anything": 3})
  config.evals.knn = configs.section(type="knn", whatever=(1, 2))
  validate.validate(config)


def test_build_fills_in_defaults_and_converts():
  found = validate.build(Part, {"type": "x", "ratio": 0, "k": [10, 20]}, "p")
  assert found == Part(ratio=0.0, k=(10, 20))
  assert isinstance(found.ratio, float) and isinstance(found.k, tuple)


@pytest.mark.parametrize(
  "entries, key, text",
  [
    ({"dept": 3}, "p.dept", "depth"),
    ({"depth": 0}, "p.depth", ">= 1"),
    ({"depth": "deep"}, "p.depth", "int"),
    ({"ratio": 1.0}, "p.ratio", "< 1.0"),
    ({"head": "svm"}, "p.head", "'logistic'"),
    ({"k": 20}, "p.k", "tuple"),
    ({"hidden": 1}, "p.hidden", "the keys of p (Part)"),
  ],
)
def test_build_names_what_is_wrong(entries, key, text):
  with pytest.raises(errors.UserError) as e:
    validate.build(Part, entries, "p")
  assert e.value.key == key and text in e.value.expected
