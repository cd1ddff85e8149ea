"""Directions between examples that have an attribute and those that have not.

    n = mean h of the ones - mean h of the others

By scores: the ones are the m of highest score, the others the m of lowest. By
labels: those of a class, and those of another or all others; the mean of the
differences of all pairs is the same. On the host in float64, over a stream.
"""

import dataclasses
import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.diffusion import injection

Rows = Iterable[Mapping[str, np.ndarray]]
LEAST = 1e-6  # share of a direction: below it is rounding
FORM = re.compile(r"(\w+):(\d+)(?:-(\d+))?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
  """Which examples a direction leads to, and from which.

  Attributes:
    entry: head of a classifier, or entry of the data.
    to: class that it leads to.
    off: class that it comes from; None: all others.
  """

  entry: str
  to: int
  off: int | None

  @property
  def line(self) -> tuple[str, frozenset]:
    """What it has in common with its reverse."""
    return self.entry, frozenset((self.to, self.off))

  @property
  def highest(self) -> int:
    """The greatest class that is named."""
    return max(self.to, -1 if self.off is None else self.off)

  def score(self, logits: Any) -> Any:
    """[b]: how far logits [b, classes] are on its side."""
    there = logits[:, self.to]
    return there if self.off is None else there - logits[:, self.off]

  def sides(self, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """bool [b] twice: which examples are of the ones and of the others."""
    there = classes == self.to
    return there, ~there if self.off is None else classes == self.off


def read(text: str) -> Contrast:
  """A contrast of "ENTRY:TO-OFF", or "ENTRY:TO" against all others.

  Raises:
    ValueError: another form, or a class against itself.
  """
  match = FORM.fullmatch(text)
  entry, *classes = match.groups() if match else ("", 0, 0)
  to, off = (None if x is None else int(x) for x in classes)
  if to == off:
    raise ValueError(
      f"wanted or unwanted: {text!r}: give ENTRY:CLASS-CLASS, as in "
      "'label:0-2', or ENTRY:CLASS"
    )
  return Contrast(entry=entry, to=to, off=off)


def check(wanted: Sequence[str], unwanted: Sequence[str]) -> None:
  """Raises ValueError unless directions are wanted, which are not unwanted."""
  if not wanted:
    raise ValueError("wanted=(): name a direction, such as 'label:0-1'")
  lines = [{read(text).line for text in texts} for texts in (wanted, unwanted)]
  if lines[0] & lines[1]:
    raise ValueError("wanted and unwanted: a direction is in both")


def freed(
  found: np.ndarray, wanted: Sequence[str], unwanted: Sequence[str]
) -> np.ndarray:
  """The wanted directions without their parts along the unwanted ones.

  Args:
    found: [wanted + unwanted, ...].
    wanted: their names.
    unwanted: their names.

  Raises:
    UserError: nothing is left of one.
  """
  there, others = np.split(found, [len(wanted)])
  if not len(others):
    return there
  left = injection.apart(there, others)
  for name, before, after in zip(wanted, there, left, strict=True):
    if np.linalg.norm(after) <= LEAST * np.linalg.norm(before):
      raise errors.UserError(
        f"of {name} nothing is left without {', '.join(unwanted)}",
        "a direction that those do not make up",
        "leave out some of them",
        "procedure.unwanted",
      )
  return left


def by_labels(rows: Rows, contrasts: Sequence[Contrast]) -> np.ndarray:
  """float64 [contrasts, ...] of rows with "h" [b, ...] and the entries [b].

  Raises:
    UserError: no example of one side.
  """
  sums, counts = None, np.zeros((len(contrasts), 2))
  for row in rows:
    h = np.asarray(row["h"], np.float64)
    if sums is None:
      sums = np.zeros((len(contrasts), 2, *h.shape[1:]))
    for i, contrast in enumerate(contrasts):
      for j, side in enumerate(contrast.sides(row[contrast.entry])):
        sums[i, j] += h[side].sum(0)
        counts[i, j] += side.sum()
  for contrast, count in zip(contrasts, counts, strict=True):
    if not count.all():
      raise errors.UserError(
        f"{contrast.entry}: {count[0]:.0f} examples of class {contrast.to} and "
        f"{count[1]:.0f} of the other side",
        "some of both among those that are fitted on",
        "fit on more (apply.fit_num), or name other classes",
        "procedure.wanted",
      )
  means = sums / counts.reshape(*counts.shape, *[1] * (sums.ndim - 2))
  return means[:, 0] - means[:, 1]


def by_scores(rows: Rows, most: int) -> np.ndarray:
  """float64 [contrasts, ...] of rows with "h" [b, ...], "scores" [b, k].

  Of equal scores the earlier example counts. Held are 2 m examples for each
  contrast, whatever the length of the stream.

  Args:
    rows: of the stream.
    most: m, examples of each side.

  Raises:
    UserError: fewer than 2 m examples.
  """
  held: list[list[tuple[np.ndarray, np.ndarray]]] = []
  seen = 0
  for row in rows:
    h, scores = row["h"], row["scores"]
    seen += len(h)
    if not held:
      empty = h[:0], scores[:0, 0]
      held = [[empty, empty] for _ in range(scores.shape[1])]
    for sides, own in zip(held, scores.T, strict=True):
      sides[0] = _kept(sides[0], h, own, sign=-1, most=most)
      sides[1] = _kept(sides[1], h, own, sign=1, most=most)
  if seen < 2 * most:
    raise errors.UserError(
      f"extremes={most} of {seen} examples that are fitted on",
      "twice as many examples, or more",
      "fit on more (apply.fit_num), or lower it",
      "procedure.extremes",
    )
  means = [[np.mean(h, 0, np.float64) for h, _ in sides] for sides in held]
  return np.array([there - other for there, other in means])


def _kept(held, h, scores, sign, most):
  """The first `most` of (h, scores) by sign x score, in their old order."""
  h = np.concatenate([held[0], h])
  scores = np.concatenate([held[1], scores])
  first = np.sort(np.argsort(sign * scores, kind="stable")[:most])
  return h[first], scores[first]
