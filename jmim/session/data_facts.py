"""What data a run is on: printed, kept in data.json, compared at each start.

classes        names, in the order of their numbers; none: not known
num_classes    how many, or null
train, eval    examples, and of each class if that is known at once
keep           hash of the list that `data.keep` names; absent without one
alphabet       characters or words, in the order of their tokens
tokenizer      what makes tokens of texts; absent where they are stored
"""

import itertools
import json
import pathlib
import types
from collections.abc import Container
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.data import combine
from jmim.data import formats
from jmim.data import keep
from jmim.data import paths
from jmim.data import splits
from jmim.data import threads
from jmim.runlog import console as consoles

Facts = dict[str, Any]
NAME = "data.json"
_LISTED = 10  # most classes that are printed one by one
_COUNTED = 10**6  # most classes that are counted
_MEASURED = 1000  # most files whose headers are read
_NO_TEXTS: Mapping[str, Any] = types.MappingProxyType({})
# What is a list of names, and the input of a method that holds their numbers.
_NUMBERED = {"classes": "label", "alphabet": "tokens"}


def of(
  sources: Mapping[str, Any], texts: Mapping[str, Any] = _NO_TEXTS
) -> Facts:
  """Facts of the sources "train" and "eval", as JSON values.

  Args:
    sources: by name.
    texts: of their tokenizer, see `texts.facts`.
  """
  train = _plain(sources["train"])
  names = getattr(train, "classes", ())
  kept = keep.digest(train)
  words = getattr(splits.whole(train), "alphabet", "")
  return {
    "classes": list(names),
    "alphabet": list(words),
    "num_classes": train.num_classes,
    **{name: _counts(_plain(source)) for name, source in sources.items()},
    **({"keep": kept} if kept else {}),
    **texts,
  }


def _plain(source: Any) -> Any:
  return source.source if isinstance(source, combine.Cached) else source


def _counts(source: Any) -> dict[str, Any]:
  labels = splits.labels_of(source)
  counts = None
  if labels is not None and 0 < (source.num_classes or 0) <= _COUNTED:
    known = labels[(labels >= 0) & (labels < source.num_classes)]
    counts = np.bincount(known, minlength=source.num_classes).tolist()
  return {"examples": len(source), "counts": counts}


def lines(facts: Facts) -> list[str]:
  """A line on each split, to be printed."""
  return [
    f"data.{name}: {facts[name]['examples']:,} examples"
    + _classes(facts, facts[name]["counts"])
    for name in splits.OF_RUN
  ]


def _classes(facts: Facts, counts: Sequence[int] | None) -> str:
  n = facts["num_classes"]
  if not n:
    return ", no labels"
  if not counts:
    return f", {n} classes"
  used = f"{np.count_nonzero(counts)} of {n} classes"
  if n > _LISTED:
    return f", {used}, {min(counts)} to {max(counts)} each"
  names = facts["classes"] or range(n)
  each = (f"{name} {k}" for name, k in zip(names, counts, strict=False))
  return paths.printable(f", {used}: {', '.join(each)}")


def warnings(sources: Mapping[str, Any], facts: Facts) -> list[str]:
  """Why numbers of evaluators may not mean what one thinks."""
  train, held = _plain(sources["train"]), _plain(sources["eval"])
  found = []
  same = sum(splits.common(p, held) for p in getattr(train, "parts", (train,)))
  if same:
    found.append(
      f"{same:,} of the {len(held):,} examples that evaluators test on are the "
      "SAME as trained on, so no number is of unseen ones; for a test split "
      "set data.eval_share=0.1, or slices: data.train_split=train[:90%] and "
      "data.eval_split=train[90%:]"
    )
  trained, tested = (facts[name]["counts"] for name in splits.OF_RUN)
  if trained and tested:
    names = facts["classes"] or [str(i) for i in range(len(tested))]
    known = itertools.zip_longest(trained, tested, fillvalue=0)
    seen_never = [now and not before for before, now in known]
    unseen = list(itertools.compress(names, seen_never))
    if unseen:
      found.append(
        f"no example to train on of {len(unseen)} classes that are tested: "
        + paths.some(unseen)
      )
  return found


def sizes(source: Any) -> str:
  """A line on the sizes of a source's pictures; "": it has no such files.

  Headers are read, of at most `_MEASURED` files, by several threads.
  """
  whole = splits.whole(_plain(source))
  if not hasattr(whole, "file"):
    return ""
  n = len(whole)
  some = np.unique(np.linspace(0, n - 1, min(n, _MEASURED)).astype(int))
  found = threads.each([whole.file(i) for i in some], formats.sides)
  if not (known := [x for x in found if x]):
    return ""
  high, wide = map(_range, zip(*known, strict=True))
  part = f" ({len(some):,} of {n:,} looked at)" if len(some) < n else ""
  return f"data: images are {wide} pixels wide, {high} high{part}"


def _range(values: Sequence[int]) -> str:
  low, high = min(values), max(values)
  return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def show(
  console: consoles.Console, sources: Mapping[str, Any], facts: Facts
) -> None:
  """Prints the facts, and warnings that nobody should miss.

  Where nothing is printed, no file is looked at.
  """
  if console.quiet:
    return
  for line in filter(None, [*lines(facts), sizes(sources["train"])]):
    console.print(line)
  for line in warnings(sources, facts):
    console.print(f"warning: {line}", style="bold red")


def write(workdir: pathlib.Path, facts: Facts) -> None:
  """Writes data.json; raises OSError if it cannot."""
  files.replace(workdir / NAME, json.dumps(facts) + "\n")


def fits(content: Any) -> bool:
  """Whether something can be what `write` has written."""
  try:
    counts = [content[name]["examples"] for name in splits.OF_RUN]
    lists = [content[name] for name in ("classes", "alphabet")]
    number = content["num_classes"]
  except (LookupError, TypeError):
    return False
  whole = all(isinstance(x, int) for x in (*counts, number or 0))
  return whole and all(isinstance(x, list) for x in lists)


def compare(
  workdir: pathlib.Path, now: Facts, learnt: Container[str] = ()
) -> list[str]:
  """What differs from the data that a run was last trained on.

  Args:
    workdir: of the run; older ones have no data.json, and nothing is compared
      then, nor where it is broken.
    now: facts of this start.
    learnt: inputs that weights have learnt: that their numbers mean something
      else ("label", "tokens") is an error, else it is only told.

  Raises:
    UserError: they do.
  """
  before = files.read_json(workdir / NAME, None, fits)
  if before is None:
    return []
  found = [
    f"data.{name}: {before[name]['examples']} -> {now[name]['examples']} "
    "examples"
    for name in splits.OF_RUN
    if before[name]["examples"] != now[name]["examples"]
  ]
  if before.get("keep", "") != now.get("keep", ""):
    found.append("data.keep: another list of examples")
  if before["num_classes"] != now["num_classes"]:
    text = f"data: {before['num_classes']} -> {now['num_classes']} classes"
    found.append(text + _exchanged(before["classes"], now["classes"]))
  old, new = (facts.get("tokenizer", "none") for facts in (before, now))
  if old != new:
    text = f"data.tokenizer: {old} -> {new}"
    if "tokens" in learnt:
      raise _learnt(text, found, [old])
    found.append(text)
  for key, entry in _NUMBERED.items():
    if moved := _moved(before[key], now[key]):
      text = f"data: {len(moved)} {key} have other numbers: {moved[0]}"
      if entry in learnt:
        raise _learnt(text, found, before[key])
      found.append(text)
  return found


def _exchanged(old: Sequence[str], new: Sequence[str]) -> str:
  """What came and what went."""
  text = ""
  for word, one, other in (("new", new, old), ("gone", old, new)):
    names = [name for name in one if name not in set(other)]
    text += f"; {word}: {paths.some(names)}" if names else ""
  return text


def _moved(old: Sequence[str], new: Sequence[str]) -> list[str]:
  """A text for each number that has another name."""
  return [
    paths.printable(f"{i} was {one!r}, is {other!r} now")
    for i, (one, other) in enumerate(zip(old, new, strict=False))
    if one != other
  ]


def _learnt(
  text: str, found: Sequence[str], old: Sequence[str]
) -> errors.UserError:
  return errors.UserError(
    "; ".join([text, *found]),
    f"those that the run has learnt: {len(old)}: {paths.some(old)}",
    "restore the data, or begin a run in another --workdir (init_from keeps "
    "the weights)",
    "data.data_dir",
  )
