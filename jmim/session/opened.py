"""The data sets of a config, opened."""

import pathlib
from collections.abc import Mapping
from typing import Any

import ml_collections

from jmim.core import errors
from jmim.data import combine
from jmim.data import groups
from jmim.data import keep
from jmim.data import sources
from jmim.data import splits
from jmim.evals.lib import base as eval_base


def make_sources(
  config: ml_collections.ConfigDict, index: pathlib.Path | None = None
) -> dict[str, Any]:
  """The "train" and the "eval" source.

  Args:
    config: of the run.
    index: folder for indices of large files, see `sources.build`.

  Raises:
    UserError: there is no such data set or split, or only evaluators would see
      a class.
  """
  data = config.data
  told = _told(data, index)
  train = _open(
    data, data.train_split, "data.train_split", trained_on=True, **told
  )
  whole = train
  if data.keep:
    train = keep.part(train, data.keep)
  if data.group:  # what is kept in memory are members, not groups
    train = _grouped(_cached(config, train), data)
  if data.eval_share:
    train, held = splits.hold_out(train, data.eval_share)
  else:
    held = _open(data, data.eval_split, "data.eval_split", like=whole, **told)
    held = _grouped(held, data)
  if data.mixture:
    train = _mixture(config, train, told)
  if not data.group:
    train = _cached(config, train)
  return {"train": train, "eval": held}


def _told(
  data: ml_collections.ConfigDict, index: pathlib.Path | None
) -> dict[str, Any]:
  """What every source is told."""
  skip = data.on_bad_record == "skip"
  return {
    "index": index,
    "max_pixels": data.max_pixels,
    "max_bad_shards": data.max_bad_share if skip else 0.0,
  }


def _cached(config: ml_collections.ConfigDict, source: Any) -> Any:
  """A source with the memory that `data.cache` gives it."""
  if not config.data.cache:
    return source
  processes = max(1, config.hardware.data_workers)
  return combine.Cached(source, config.data.cache, processes)


def _grouped(source: Any, data: ml_collections.ConfigDict) -> Any:
  """A source of groups, if the section `data` asks for them."""
  if not data.group:
    return source
  return groups.Grouped(source, data.group, data.members)


def make_splits(
  config: ml_collections.ConfigDict,
  evaluators: Mapping[str, eval_base.Evaluator],
  data: Mapping[str, Any],
  index: pathlib.Path | None = None,
) -> dict[str, Any]:
  """The splits that evaluators fit on instead of that of the run.

  Args:
    config: of the run.
    evaluators: by name.
    data: what `make_sources` made.
    index: as there.

  Raises:
    UserError: there is no such split.
  """
  found, like = {}, data["train"]
  told = _told(config.data, index)
  while isinstance(like, combine.Cached | groups.Grouped | splits.Subset):
    like = like.source
  for name, evaluator in evaluators.items():
    text = evaluator.train_split
    if text and text not in found:
      key = f"evals.{name}.train_split"
      own = _open(config.data, text, key, like=like, **told)
      found[text] = _grouped(own, config.data)
  return found


def _open(
  data: ml_collections.ConfigDict, split: str, key: str, **how: Any
) -> Any:
  """A split of the data set, named by a key of the config."""
  try:
    return sources.build(data.name, split, data.data_dir, **how)
  except errors.UserError as e:
    # A source does not know for which key it was asked.
    if e.key not in ("data.train_split", "data.eval_split"):
      raise
    fix = e.fix
    if key == "data.eval_split" and e.key == "data.train_split":
      fix += ", or set data.eval_share to hold out a part of the other"
    raise errors.UserError(e.seen, e.expected, fix, key) from e


def _mixture(
  config: ml_collections.ConfigDict,
  train: sources.Source,
  told: Mapping[str, Any],
) -> combine.Mixture:
  """The training sources of `data.mixture`; `train` is that of `data.name`."""
  data = config.data
  if data.group:
    raise errors.UserError(
      f"data.mixture with data.group={data.group!r}",
      "groups of one data set: ids of several may be the same",
      "leave one of them out",
      "data.group",
    )
  for entry in data.mixture:
    pair = isinstance(entry, tuple | list) and len(entry) == 2
    if not pair or not isinstance(entry[1], int | float) or entry[1] <= 0:
      raise errors.UserError(
        f"data.mixture has the entry {entry!r}",
        "pairs (name, weight > 0)",
        "write data.mixture=(('cifar10', 0.7), ('digits/scattered', 0.3))",
        "data.mixture",
      )
  if data.remainder == "drop":
    raise errors.UserError(
      "data.mixture with data.remainder='drop'",
      "a mixture, whose parts have epochs of their own",
      "set data.remainder='keep'",
      "data.remainder",
    )
  names, weights = zip(*data.mixture, strict=True)
  if data.keep and data.name not in names:
    raise errors.UserError(
      f"data.keep for {data.name}, which is not in data.mixture",
      "a list of examples of a data set that is trained on",
      "set data.keep='', or data.name to the one that it lists",
      "data.keep",
    )
  parts = [
    train
    if name == data.name
    else sources.build(name, data.train_split, data.data_dir, **told)
    for name in names
  ]
  return combine.Mixture(parts, weights)
