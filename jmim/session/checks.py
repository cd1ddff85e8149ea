"""Combinations that cannot work, found before anything is compiled.

Each function looks at several sections of a config, or at a section beside
the method or the data, and raises UserError naming the key to change.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import ml_collections

from jmim.core import errors
from jmim.core import method as methods
from jmim.core import patterns
from jmim.core import tree as trees
from jmim.core import units
from jmim.cost import profile
from jmim.data import labels
from jmim.data import paths
from jmim.data import splits
from jmim.evals.lib import base as eval_base


def check_labels(
  evaluators: Mapping[str, eval_base.Evaluator],
  data: Mapping[str, Any],
  further: Mapping[str, Any],
) -> None:
  """Raises UserError if an evaluator needs labels that its data lacks.

  Args:
    evaluators: by name.
    data: "train" and "eval".
    further: splits that evaluators fit on, as they are written.
  """
  for name, evaluator in evaluators.items():
    used = {f"data.{split}_split": source for split, source in data.items()}
    if own := evaluator.train_split:
      key = f"evals.{name}.train_split"
      _check_apart(further[own], data["eval"], key)
    if not evaluator.labelled:
      continue
    if own:
      used = {key: further[own], "data.eval_split": data["eval"]}
    for key, source in used.items():
      if source.num_classes is None:
        why = labels.fault(source)
        raise errors.UserError(
          f"{key} for evals.{name}, "
          + (f"which has {why}" if why else "where no example has a label"),
          "a class label per image",
          f"put classes in sub-folders, name a split with labels in "
          f"evals.{name}.train_split, or set evals.{name}=None",
          f"evals.{name}",
        )


def check_evaluators(
  evaluators: Mapping[str, eval_base.Evaluator],
  data: Mapping[str, Any],
  further: Mapping[str, Any],
  widths: Callable[[Sequence[str]], Mapping[str, int]],
) -> None:
  """Raises UserError for what an evaluator itself cannot work on.

  Args:
    evaluators: by name.
    data: "train" and "eval".
    further: splits that evaluators fit on, as they are written.
    widths: names of outputs -> numbers per example.
  """
  for name, evaluator in evaluators.items():
    own = evaluator.train_split
    sources = {"train": further[own] if own else data["train"]}
    sources["eval"] = data["eval"]
    evaluator.check(f"evals.{name}", sources, widths)


def _check_apart(own: Any, held: Any, key: str) -> None:
  """Raises UserError unless a test on `held` tells of what fits `own`."""
  if same := splits.common(own, held):
    raise errors.UserError(
      f"{same:,} of the {len(held):,} examples of data.eval_split in {key}",
      "others to fit on than to test on",
      "name another split, or a part of it: train[:90%]",
      key,
    )
  one, other = (list(getattr(x, "classes", ())) for x in (own, held))
  if one != other:
    raise errors.UserError(
      f"the classes {paths.some(one)} in {key} and {paths.some(other)} in "
      "data.eval_split",
      "the same ones in the same order",
      "name a split with those classes",
      key,
    )


def check_durations(
  config: ml_collections.ConfigDict, total: int, examples: int
) -> None:
  """Raises UserError unless the run has a length, and its parts are in it."""
  if total < 1:
    given = units.given(config.train, "total")
    set_ = [f"train.total_{u}={v}" for u, v in given.items()]
    seen = "train.total_steps, _epochs and _images are all 0"
    if set_:
      seen = (
        f"{set_[0]} of {examples:,} examples in batches of "
        f"{config.data.batch:,}: rounds to no step"
      )
    raise errors.UserError(
      seen,
      "a run of at least one step",
      "set one of them, or lengthen it",
      "train.total_steps",
    )
  _check_share(config.schedule)
  profile.steps(config.train.profile_steps, total)
  parts = {}
  for stem in ("warmup", "hold", "stair", "cooldown"):
    part = parts[stem] = units.steps(
      config.schedule,
      stem,
      batch=config.data.batch,
      examples=examples,
      where="schedule",
    )
    if part > total:
      raise errors.UserError(
        f"schedule.{stem}: {part:,.0f} steps in a run of {total:,}",
        "a part of the run",
        "shorten it, or lengthen train.total_*",
        f"schedule.{stem}_steps",
      )
  risen = parts["warmup"] + parts["hold"]
  if parts["hold"] and risen > total + 1e-6:
    raise errors.UserError(
      f"schedule.warmup and schedule.hold: {risen:,.0f} steps in a run of "
      f"{total:,}",
      "a run that outlasts both",
      "shorten one of them, or lengthen train.total_*",
      "schedule.hold_steps",
    )


def check_lengths(lengths: Mapping[str, int], total: int) -> None:
  """Raises UserError for schedules of a method that are not of the run.

  Args:
    lengths: as from `Method.lengths`.
    total: steps of the run.
  """
  for name, steps in lengths.items():
    if steps != total:
      raise errors.UserError(
        f"method.{name}={steps:,} in a run of {total:,} steps "
        "(train.total_steps)",
        "a schedule as long as the run",
        f"set method.{name}={total}, or train.total_steps={steps}",
        f"method.{name}",
      )


def _check_share(schedule: ml_collections.ConfigDict) -> None:
  """Raises UserError for a warm-up that is given twice."""
  given = [*units.given(schedule, "warmup")]
  if schedule.get("warmup_share") and given:
    raise errors.UserError(
      f"schedule.warmup_share={schedule.warmup_share} and "
      f"warmup_{given[0]}={schedule[f'warmup_{given[0]}']}",
      "a share of the run, or a duration",
      "set the other to 0",
      "schedule.warmup_share",
    )


def check_parameters(
  config: ml_collections.ConfigDict, method: methods.Method, shapes: Any
) -> None:
  """Raises UserError for players or parameters that the method has not.

  Args:
    config: whose settings of players and regexes are checked.
    method: the method.
    shapes: of its parameters, player -> tree.
  """
  unknown = set(config.optim.players) - set(method.players)
  if unknown:
    raise errors.UserError(
      f"optim.players has {', '.join(sorted(unknown))}",
      f"players of {config.method.type}: {', '.join(method.players)}",
      "name one of these",
      "optim.players",
    )
  sections = {"optim": config.optim}
  for player, own in config.optim.players.items():
    sections[f"optim.players.{player}"] = own
  for path, section in sections.items():
    check_patterns(section, path, list(trees.named(shapes)))
  for rule in config.hardware.shard_rules:
    check_rule(rule, tuple | list, "hardware.shard_rules")
    patterns.check(rule[0], "hardware.shard_rules")


def check_patterns(
  section: Mapping[str, Any], path: str, names: Sequence[str]
) -> None:
  """Raises UserError for a regex of `optim` that names no parameter."""
  for key in ("freeze", "lr_mults", "decay_mults"):
    for rule in section.get(key, ()):
      if key != "freeze":
        check_rule(rule, int | float, f"{path}.{key}")
      pattern = rule if key == "freeze" else rule[0]
      patterns.check(pattern, f"{path}.{key}")
      if not any(trees.matches(pattern, n) for n in names):
        raise errors.UserError(
          f"{path}.{key}: {pattern!r} matches no parameter",
          "a regex found in names such as " + ", ".join(names[:4]),
          "correct the regex",
          f"{path}.{key}",
        )


def check_rule(rule: Any, kind: Any, key: str) -> None:
  """Raises UserError unless a rule is (regex, a value of that kind)."""
  pair = isinstance(rule, tuple | list) and len(rule) == 2
  if not pair or not isinstance(rule[1], kind):
    value = "number" if kind == int | float else "(axis or None, ...)"
    raise errors.UserError(
      f"{key} has the entry {rule!r}",
      f"pairs (regex, {value})",
      f"write {key}=((regex, {value}),)",
      key,
    )
