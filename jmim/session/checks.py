"""Combinations that cannot work, found before anything is compiled.

Each function looks at several sections of a config, or at a section beside
the method or the data, and raises UserError naming the key to change.
"""

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
from jmim.evals.lib import base as eval_base


def check_labels(
  evaluators: Mapping[str, eval_base.Evaluator], data: Mapping[str, Any]
) -> None:
  """Raises UserError if an evaluator needs labels that the data lacks."""
  for name, evaluator in evaluators.items():
    if evaluator.labelled and data["train"].num_classes is None:
      raise errors.UserError(
        f"evals.{name} on data without labels",
        "a class label per image",
        f"put classes in sub-folders, or set evals.{name}=None",
        f"evals.{name}",
      )


_RANGES = (
  "crop_scale",
  "crop_ratio",
  "view_scale",
  "local_scale",
  "blur_sigma",
)


def check_data(data: ml_collections.ConfigDict) -> None:
  """Raises UserError for values or pairs of keys of `data` that cannot be."""
  for name in _RANGES:
    if len(data[name]) != 2:
      raise errors.UserError(
        f"data.{name}={tuple(data[name])}",
        "two numbers: least, greatest",
        "give both",
        f"data.{name}",
      )
  for name in ("mean", "std"):
    if len(data[name]) != data.channels:
      raise errors.UserError(
        f"data.{name}={tuple(data[name])} for {data.channels} channel(s)",
        f"{data.channels} number(s)",
        "give one per channel",
        f"data.{name}",
      )
  if min(data.std) <= 0:
    raise errors.UserError(
      f"data.std={tuple(data.std)}",
      "positive numbers",
      "images are divided by it",
      "data.std",
    )
  if len(data.jitter) != 4 or min(data.jitter) < 0 or data.jitter[3] > 0.5:
    raise errors.UserError(
      f"data.jitter={tuple(data.jitter)}",
      "four strengths of at least 0: brightness, contrast, saturation, hue "
      "(at most 0.5)",
      "give all four",
      "data.jitter",
    )
  check_one_crop(data)
  check_clips(data)


def check_one_crop(data: ml_collections.ConfigDict) -> None:
  """Raises UserError if both the host and the device are to crop."""
  if data.device_crop == "none":
    return
  if data.views:
    raise errors.UserError(
      f"data.views={data.views} and data.device_crop={data.device_crop!r}",
      "views cut by the host, so that their boxes are known",
      "set data.device_crop='none'",
      "data.device_crop",
    )
  if data.host_crop == "resized":
    raise errors.UserError(
      f"data.host_crop='resized' and data.device_crop={data.device_crop!r}",
      "one random crop",
      "set one of them to 'none'",
      "data.device_crop",
    )


def check_clips(data: ml_collections.ConfigDict) -> None:
  """Raises UserError if clips are to be changed in ways made for images."""
  changes = (
    any(data.jitter),
    data.grey_share,
    data.blur_share,
    data.randaugment,
    data.erase_share,
  )
  if data.frames and any(changes):
    raise errors.UserError(
      f"data.frames={data.frames} with changes of colour or erasing",
      "clips, which are only cropped and flipped",
      "set jitter, *_share and randaugment to 0",
      "data.frames",
    )


# Inputs that are numbers of the data set, handed on as they are.
STORED = (
  "pair",
  "points",
  "tokens",
  "moments",
  "objects",
  "crop",
  "segmentation",
)


def check_inputs(
  config: ml_collections.ConfigDict, method: methods.Method
) -> None:
  """Raises UserError if the method reads what the data will not give."""
  given = inputs_given(config.data)
  for name, wanted in method.inputs().items():
    if name in STORED:
      continue  # as stored: only the examples can tell
    if name not in given:
      raise errors.UserError(
        f"{config.method.type} reads {name!r}",
        f"inputs the pipeline makes: {', '.join(given)}",
        _REMEDY.get(name, "choose a method for this data"),
        f"data.{name}" if name == "views" else "method.type",
      )
    if tuple(wanted.shape) != given[name]:
      raise errors.UserError(
        f"data.size={config.data.size}, data.channels={config.data.channels}"
        f": {name} {given[name]}",
        f"{config.method.type} is built for {tuple(wanted.shape)}",
        "make data.size and method.size (and channels) the same",
        "data.size",
      )


_REMEDY = {
  "image": "set data.views=0 and data.frames=0",
  "views": "set data.views",
  "boxes": "set data.views",
  "locals": "set data.local_views",
  "local_boxes": "set data.local_views",
  "video": "set data.frames",
}


def inputs_given(
  data: ml_collections.ConfigDict,
) -> dict[str, tuple[int, ...]]:
  """Name -> shape of what the pipeline makes of images; see docs/data.md."""
  image, given = (data.size, data.size, data.channels), {"label": ()}
  if data.frames:
    return given | {"video": (data.frames, *image)}
  if data.views:
    given |= {"views": (data.views, *image), "boxes": (data.views, 4)}
  else:
    given["image"] = image
  if m := data.local_views:
    small = (data.local_size, data.local_size, data.channels)
    given |= {"locals": (m, *small), "local_boxes": (m, 4)}
  return given


def check_durations(
  config: ml_collections.ConfigDict, total: int, examples: int
) -> None:
  """Raises UserError unless the run has a length, and its parts are in it."""
  if total < 1:
    raise errors.UserError(
      "train.total_steps, _epochs and _images are all 0",
      "the length of the run",
      "set one of them",
      "train.total_steps",
    )
  profile.steps(config.train.profile_steps, total)
  for stem in ("warmup", "cooldown"):
    part = units.steps(
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
