"""Examples without a label (-1): left out of what needs one, and counted."""

import logging
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import labels

Arrays = dict[str, np.ndarray]


def those(values: np.ndarray, split: str) -> np.ndarray:
  """Which examples have a label; how many have none is logged.

  Args:
    values: [n] labels.
    split: "train" or "eval", for messages.

  Returns:
    bool [n], somewhere True.

  Raises:
    UserError: none has one, or they are no classes.
  """
  if values.ndim != 1 or values.dtype.kind not in "iu":
    raise errors.UserError(
      f"labels {values.dtype}{list(values.shape[1:])} per example in "
      f"data.{split}_split",
      "one whole number: a class, or -1",
      "correct the labels, or set the evaluator to None",
      f"data.{split}_split",
    )
  kept = values != labels.UNLABELLED
  tell(split, int((~kept).sum()), len(kept))
  return kept


def only(
  rows: np.ndarray, values: np.ndarray, split: str
) -> tuple[np.ndarray, np.ndarray]:
  """Rows [n, ...] and labels [n] of `those` that have a label."""
  kept = those(values, split)
  # Not copied where nothing is left out: they may be large.
  return (rows, values) if kept.all() else (rows[kept], values[kept])


def tell(split: str, without: int, total: int) -> None:
  """Logs how many of `total` examples have no label.

  Raises:
    UserError: all of them.
  """
  if without == total:
    raise errors.UserError(
      f"none of the {total} examples of data.{split}_split has a label",
      "labelled examples",
      "name a split with labels (evals.<name>.train_split, if only the "
      "evaluator is to have another), or set the evaluator to None",
      f"data.{split}_split",
    )
  if without:
    logging.warning(
      "%d of %d examples of data.%s_split have no label: left out",
      without,
      total,
      split,
    )


def batches(stream: Iterator[Arrays], examples: int) -> Iterator[Arrays]:
  """Batches as large as those given, of labelled examples only.

  Args:
    stream: endless; dicts of arrays [b, ...] with "label" and "index".
    examples: of the data set: after so many without a label there is none.

  Raises:
    UserError: there is none.
  """
  held: list[Arrays] = []
  seen, without, size = set(), set(), 0
  try:
    for batch in stream:
      check(batch, "label")
      size, kept = len(batch["label"]), batch["label"] != labels.UNLABELLED
      seen.update(batch["index"].tolist())
      without.update(batch["index"][~kept].tolist())
      if kept.all() and not held:
        yield batch
        continue
      if len(without) >= examples:
        return
      held.append({name: x[kept] for name, x in batch.items()})
      if sum(len(part["label"]) for part in held) >= size:
        joined = _joined(held)
        yield {name: x[:size] for name, x in joined.items()}
        held = [{name: x[size:] for name, x in joined.items()}]
        held = held if len(held[0]["label"]) else []
  finally:
    tell("train", len(without), len(seen) or 1)


def valid(
  stream: Iterator[Arrays], split: str, total: Callable[..., Sequence[int]]
) -> Iterator[Arrays]:
  """Batches of one pass with "valid", which examples without a label are not.

  Args:
    stream: dicts of arrays [b, ...], this host's slices; some without labels.
    split: "train" or "eval", for messages.
    total: counts of this host -> sums over all hosts, which ask together.

  Raises:
    UserError: (at the end) no host has an example with a label.
  """
  without = real = 0
  for batch in stream:
    if "label" in batch:
      lacks = batch["valid"] & (batch["label"] == labels.UNLABELLED)
      without, real = without + lacks.sum(), real + batch["valid"].sum()
      batch["valid"] = batch["valid"] & ~lacks
    yield batch
  # Of all hosts: one that raised alone would leave the others waiting for it.
  without, real = total(int(without), int(real))
  if without:
    tell(split, without, real)


def check(batch: Any, *names: str) -> None:
  """Raises UserError for a batch without an entry that is asked for."""
  for name in names:
    if name not in batch:
      raise errors.UserError(
        f"examples without {name!r}, or where it differs in shape or type",
        f"{name!r} in all of them",
        "correct the data set, or set the evaluator to None",
        "data.name",
      )


def _joined(parts: list[Arrays]) -> Arrays:
  return {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}
