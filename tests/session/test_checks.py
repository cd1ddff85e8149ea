"""Combinations that cannot work, each with the key to change."""

import types

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import sources
from jmim.evals import attributes
from jmim.evals import knn
from jmim.evals import loss
from jmim.session import checks

NAMES = ["main/encoder/kernel", "main/encoder/bias", "main/head/kernel"]


def key_of(check, *args):
  with pytest.raises(errors.UserError) as caught:
    check(*args)
  return caught.value.key


def test_labels_are_needed_by_some_evaluators_only():
  data = {"train": types.SimpleNamespace(num_classes=None)}
  checks.check_labels({"a": loss.Evaluator()}, data, {})
  near = {"b": knn.Evaluator()}
  assert key_of(checks.check_labels, near, data, {}) == "evals.b"
  data["train"].num_classes = 3
  checks.check_labels(near, data, {})


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize(
  ("stored", "word"),
  [([-1, -1], "no example has a label"), ([0.5, 1], "fractional labels")],
)
def test_evaluators_need_labels_in_both_splits(split, stored, word):
  data = {s: sources.ArraySource({"label": [0, 1]}) for s in ("train", "eval")}
  checks.check_labels({"b": knn.Evaluator()}, data, {})
  data[split] = sources.ArraySource({"label": stored})
  with pytest.raises(errors.UserError, match=word) as caught:
    checks.check_labels({"b": knn.Evaluator()}, data, {})
  assert f"data.{split}_split" in str(caught.value)


def _split(label, origin="", classes=()):
  source = sources.ArraySource({"label": label}, origin=origin)
  source.classes = classes
  return source


def test_labels_to_fit_on_may_be_those_of_another_split():
  data = {"train": _split([-1, -1]), "eval": _split([0, 1])}
  near = {"b": knn.Evaluator(train_split="labelled")}
  checks.check_labels(near, data, {"labelled": _split([1, 0])})
  for own, seen in (
    (_split([-1]), "evals.b.train_split for evals.b, where no"),
    (_split([0, 1], classes=("b", "a")), "the classes b, a"),
  ):
    with pytest.raises(errors.UserError, match=seen):
      checks.check_labels(near, data, {"labelled": own})


def test_what_is_tested_on_is_not_fitted():
  data = {"train": _split([-1]), "eval": _split([0, 1], "one file")}
  own = {"test": _split([0, 1], "one file")}
  near = {"b": knn.Evaluator(train_split="test")}
  key = key_of(checks.check_labels, near, data, own)
  assert key == "evals.b.train_split"
  # Nor where what is fitted needs no classes.
  probes = {"c": attributes.Evaluator(train_split="test")}
  key = key_of(checks.check_labels, probes, data, own)
  assert key == "evals.c.train_split"
  checks.check_labels(probes, data, {"test": _split([-1])})


def test_an_evaluator_sees_the_data_that_it_will_fit_and_test():
  data = {s: sources.ArraySource({"tone": [0.5]}) for s in ("train", "eval")}
  own = {"other": sources.ArraySource({"hue": [0.5]})}
  widths = lambda names: {name: 4 for name in names}
  check = lambda **keys: checks.check_evaluators(
    {"a": loss.Evaluator(), "b": attributes.Evaluator(**keys)},
    data,
    own,
    widths,
  )
  check(real=("tone",), parts=(":4",))
  with pytest.raises(errors.UserError) as caught:
    check(real=("tone",), parts=(":5",))
  assert caught.value.key == "evals.b.parts"
  with pytest.raises(errors.UserError) as caught:
    check(real=("tone",), train_split="other")
  assert caught.value.key == "evals.b.real"


@pytest.mark.parametrize(
  ("items", "total", "key"),
  [
    ([], 0, "train.total_steps"),
    (["schedule.warmup_steps=11"], 10, "schedule.warmup_steps"),
    (["schedule.warmup_steps=5", "schedule.hold_steps=5"], 10, None),
    (
      ["schedule.warmup_steps=5", "schedule.hold_steps=6"],
      10,
      "schedule.hold_steps",
    ),
    (["schedule.warmup_share=1.0"], 10, None),
    (["schedule.cooldown_epochs=2"], 10, "schedule.cooldown_steps"),
    (["train.profile_steps=5"], 10, "train.profile_steps"),
    (["schedule.warmup_epochs=1", "schedule.cooldown_steps=10"], 10, None),
  ],
)
def test_parts_of_a_run_are_in_it(items, total, key):
  config = configs.override(configs.base(), [*items, "data.batch=16"])
  if key is None:
    checks.check_durations(config, total, 100)
  else:
    assert key_of(checks.check_durations, config, total, 100) == key


def test_schedules_of_a_method_are_those_of_the_run():
  checks.check_lengths({}, 10)
  checks.check_lengths({"mixture.steps": 10}, 10)
  for total in (9, 11):
    with pytest.raises(errors.UserError) as e:
      checks.check_lengths({"mixture.steps": 10}, total)
    assert e.value.key == "method.mixture.steps"
    assert "mixture.steps=10" in e.value.seen
    assert f"{total} steps (train.total_steps)" in e.value.seen


@pytest.mark.parametrize(
  ("section", "name"),
  [
    ({"freeze": ("encodr",)}, "freeze"),
    ({"freeze": ("enc(",)}, "freeze"),
    ({"freeze": (3,)}, "freeze"),
    ({"lr_mults": ("encoder", 0.1)}, "lr_mults"),
    ({"lr_mults": (("encoder", "low"),)}, "lr_mults"),
    ({"decay_mults": (("zzz", 0.1),)}, "decay_mults"),
  ],
)
def test_regexes_of_the_optimizer_name_parameters(section, name):
  path = "optim.players.main"
  found = key_of(checks.check_patterns, section, path, NAMES)
  assert found == f"{path}.{name}"
  good = {"freeze": ("^main/encoder",), "lr_mults": (("head", 0.1),)}
  checks.check_patterns(good, path, NAMES)


def test_a_rule_is_a_pair_of_the_right_kind():
  checks.check_rule(("a", ("fsdp", None)), tuple | list, "x")
  for rule in ("ab", ("a",), ("a", 3), ("a", "b", "c")):
    assert key_of(checks.check_rule, rule, tuple | list, "x") == "x"


@pytest.mark.parametrize(
  "item", ["train.total_epochs=0.01", "train.total_images=3"]
)
def test_a_length_that_rounds_to_no_step_is_named(item):
  config = configs.override(configs.base(), [item, "data.batch=8"])
  with pytest.raises(errors.UserError, match="rounds to no step") as e:
    checks.check_durations(config, 0, 36)
  assert item in e.value.seen
