import dataclasses

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import validate
from jmim.evals import knn


@dataclasses.dataclass(frozen=True)
class Flat:
  """A documented dataclass, as methods and evaluators are."""

  depth: int = field.value(12, "layers", low=1)
  ratio: float = field.value(0.75, "share", low=0.0, below=1.0)
  head: str = field.value("ridge", "kind", choices=("ridge", "logistic"))
  k: tuple = field.value((20,), "neighbours")
  hidden: int = dataclasses.field(default=0, metadata={"config": False})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
  """A kind of part."""

  low: float = field.value(0.1, "least", low=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arc:
  """Another kind."""

  turns: int = field.value(1, "turns", low=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nested:
  """A value, a part of one kind, a part of two."""

  size: int = field.value(3, "side", low=1)
  flat: Flat = field.part(Flat, "a part", depth=6)
  shape: object = field.part({"line": Line, "arc": Arc}, "its shape")


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
  found = validate.build(Flat, {"type": "x", "ratio": 0, "k": [10, 20]}, "p")
  assert found == Flat(ratio=0.0, k=(10, 20))
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
    ({"hidden": 1}, "p.hidden", "the keys of p (Flat)"),
  ],
)
def test_build_names_what_is_wrong(entries, key, text):
  with pytest.raises(errors.UserError) as e:
    validate.build(Flat, entries, "p")
  assert e.value.key == key and text in e.value.expected


def test_a_part_is_built_from_its_section_and_its_defaults_there():
  found = validate.build(Nested, {"flat": {"ratio": 0}}, "p")
  assert found == Nested(flat=Flat(depth=6, ratio=0.0))
  config = configs.section(flat=configs.section(depth=2), size=5)
  assert validate.build(Nested, config, "p") == Nested(
    size=5, flat=Flat(depth=2)
  )


@pytest.mark.parametrize(
  "shape, expected",
  [
    ({}, Line()),
    ({"low": 1}, Line(low=1.0)),
    ({"type": "line", "low": 1}, Line(low=1.0)),
    ({"type": "arc"}, Arc()),
    ({"type": "arc", "turns": 2}, Arc(turns=2)),
    # A complete section of the other kind, its type changed.
    ({**vars(Line()), "type": "arc"}, Arc()),
    ({**vars(Arc()), "type": "line"}, Line()),
  ],
)
def test_the_type_of_a_section_chooses_the_kind_of_a_part(shape, expected):
  assert validate.build(Nested, {"shape": shape}, "p").shape == expected


@pytest.mark.parametrize(
  "entries, key, text",
  [
    ({"flat": {"dept": 3}}, "p.flat.dept", "p.flat.depth"),
    ({"flat": {"depth": 0}}, "p.flat.depth", ">= 1"),
    ({"flat": {"depth": "deep"}}, "p.flat.depth", "int"),
    ({"flat": 3}, "p.flat", "depth, ratio, head, k"),
    ({"flat": {"type": "round"}}, "p.flat.type", "one kind"),
    ({"shape": "arc"}, "p.shape", "section"),
    ({"shape": {"type": "ark"}}, "p.shape.type", "line, arc"),
    ({"shape": {"turns": 2}}, "p.shape.turns", "p.shape (Line)"),
    ({"shape": {"type": "arc", "low": 9}}, "p.shape.low", "p.shape (Arc)"),
    ({"shape": {"type": "arc", "turn": 2}}, "p.shape.turn", "p.shape.turns"),
    ({"dept": 3}, "p.dept", "p.flat.depth"),
  ],
)
def test_what_is_wrong_in_a_part_is_named_by_its_dotted_key(entries, key, text):
  with pytest.raises(errors.UserError) as e:
    validate.build(Nested, entries, "p")
  assert e.value.key == key and text in e.value.expected


def test_an_instance_may_give_the_values_a_section_does_not_name():
  start = Nested(size=9, flat=Flat(depth=2))
  found = validate.build(Nested, {"shape": {"low": 0}}, "p", start)
  assert found == Nested(size=9, flat=Flat(depth=2), shape=Line(low=0.0))
  found = validate.build(Nested, {"flat": {"ratio": 0}}, "p", start)
  assert found == Nested(size=9, flat=Flat(depth=2, ratio=0.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Around:
  """A part whose own parts have other defaults than its class."""

  inner: Nested = field.part(
    Nested, "a part", flat=Flat(depth=2, k=(7,)), shape=Arc(turns=5)
  )


def test_a_section_in_a_section_begins_at_what_is_chosen_around_it():
  make = lambda **entries: validate.build(Around, {"inner": entries}, "p").inner
  assert make(flat={"ratio": 0}).flat == Flat(depth=2, ratio=0.0, k=(7,))
  assert make(shape={}).shape == Arc(turns=5)
  assert make(shape={"type": "line"}).shape == Line()


def test_a_misspelt_key_of_an_evaluator_is_named_with_the_nearest():
  with pytest.raises(errors.UserError) as e:
    validate.build(knn.Evaluator, {"type": "knn", "temprature": 1}, "evals.a")
  assert e.value.fix == "did you mean 'evals.a.temperature'?"


@pytest.mark.parametrize(
  "name, known, near",
  [
    # The section that all have in common says nothing.
    ("hardware.mesh.layer", ["hardware.mesh.data", "hardware.dtype"], None),
    ("dta.batch", ["data.batch", "sample.batch"], "data.batch"),
    ("a.widht", ["a.width", "a.b.width", "a.weight"], "a.width"),
    ("a.b.widht", ["a.width", "a.b.width"], "a.b.width"),
  ],
)
def test_the_nearest_key_is_that_with_the_most_alike_last_part(
  name, known, near
):
  e = validate.unknown(name, known, name)
  assert e.fix == (f"did you mean {near!r}?" if near else "use one of these")


def test_without_a_near_miss_the_next_section_that_exists_is_listed():
  known = ["a.b.width", "a.b.depth", "c.x"]
  for name in ("a.b.zzz", "a.b.zzz.yyy"):
    e = validate.unknown(name, known, name)
    assert e.expected == "known keys: a.b.depth, a.b.width"


@pytest.mark.parametrize(
  "value", [float("inf"), -float("inf"), float("nan"), 10**400]
)
def test_numbers_that_are_not_finite_are_refused(value):
  for given, like in ((value, 1.0), ((0.5, value), (0.5,)), ((value,), ())):
    with pytest.raises(errors.UserError, match="a finite number"):
      validate.typed("optim.lr", given, like)
  config = configs.override(configs.base(), ["optim.lr=1e30"])
  assert config.optim.lr == 1e30
  with pytest.raises(errors.UserError, match="a finite number"):
    configs.override(config, ["optim.lr=1e999"])
