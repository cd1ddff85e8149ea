"""What a config leaves to its data, see `data.follow_labels`."""

from collections.abc import Collection
from typing import Any

import ml_collections

from jmim.core import discovery
from jmim.core import field


def to_labels(
  config: ml_collections.ConfigDict, train: Any
) -> ml_collections.ConfigDict:
  """The config for the labels that there are.

  `method.classes`, where the method has it, is the number of classes;
  evaluators that need labels are left out where there are none.

  Args:
    config: checked; it stays as it is.
    train: the source that is trained on.
  """
  config = ml_collections.ConfigDict(config.to_dict())
  if train.num_classes is None:
    for name in [n for n, e in config.evals.items() if _labelled(e.type)]:
      del config.evals[name]
  elif "classes" in _keys(config.method.type):
    config.method.classes = train.num_classes
  return config


def _keys(name: str) -> Collection[str]:
  """Those of a method; an unknown one is told of when it is built."""
  try:
    return field.documented(discovery.find(name))
  except KeyError:
    return ()


def _labelled(name: str) -> bool:
  """Whether an evaluator needs labels; an unknown one is told of later."""
  try:
    return discovery.find_evaluator(name).labelled
  except KeyError:
    return False
