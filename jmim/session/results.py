"""Results of a procedure: their parts, what evaluators see, a data set of them.

    applied/<mark>/<split>/part_00000.npz   outputs, "index", perhaps "label"
    applied/<mark>/<split>/part_00000.png   a picture of them
    applied/<mark>/protocol.json            all that they depend on

Pictures among the outputs are uint8. The same command resumes: what a part
holds is not made again.
"""

import json
import math
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import einops
import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.core import state as states
from jmim.data import augment
from jmim.data import paths
from jmim.data import sources
from jmim.data import splits
from jmim.data import write
from jmim.evals.lib import context as contexts
from jmim.runlog import waits
from jmim.session import applied
from jmim.session import applying
from jmim.session import fits
from jmim.session import samples

Rows = dict[str, np.ndarray]
# Nothing is trained, and evaluators are told so.
NO_STATE = states.State(
  step=0,
  params={},
  opt={},
  ema={},
  extra={},
  window={},
  counted=0,
  skipped=0,
  skipped_total=0,
)


def folder(parts: applied.Parts, workdir: pathlib.Path) -> pathlib.Path:
  """The folder of the results of one protocol."""
  return workdir / "applied" / fits.mark(fits.protocol(parts))


def begin(parts: applied.Parts, workdir: pathlib.Path) -> pathlib.Path:
  """`folder`, made, with its protocol.

  Raises:
    OSError: it cannot be written.
  """
  made = folder(parts, workdir)
  for split in parts.config.apply.splits:
    (made / split).mkdir(parents=True, exist_ok=True)
  text = json.dumps(fits.protocol(parts), indent=2, sort_keys=True)
  files.replace(made / "protocol.json", text + "\n")
  return made


def add(where: pathlib.Path, rows: Rows, pictures: tuple[str, ...]) -> str:
  """Writes another part of a split and its picture; returns its name."""
  sheet = sheet_of(rows, pictures) if pictures else None
  return samples.write(where, rows, sheet=sheet).name


def sheet_of(rows: Rows, pictures: tuple[str, ...]) -> np.ndarray:
  """uint8 [n, h, w, 3]: the pictures of an example beside each other."""
  found = []
  for name in pictures:
    x = rows[name]
    if x.ndim == 5:
      x = einops.rearrange(x, "n k h w c -> n h (k w) c")
    found.append(np.broadcast_to(x, (*x.shape[:3], 3)))
  height = max(x.shape[1] for x in found)
  below = lambda x: ((0, 0), (0, height - x.shape[1]), (0, 1), (0, 0))
  fill = lambda x: np.pad(x, below(x), constant_values=255)
  return np.concatenate([fill(x) for x in found], axis=2)


def load(where: pathlib.Path, index: np.ndarray) -> Rows:
  """The results of some examples of a split, in that order."""
  parts = []
  for path in samples.paths(where):
    with np.load(path) as stored:
      parts.append(dict(stored))
  rows = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
  place = {int(i): at for at, i in enumerate(rows["index"])}
  order = [place[int(i)] for i in index]
  return {name: x[order] for name, x in rows.items()}


class Results(contexts.Context):
  """What evaluators see of a procedure: its results, as they are stored."""

  def __init__(
    self,
    parts: applied.Parts,
    where: pathlib.Path,
    during: waits.Measure = waits.nothing,
  ):
    """Reads the results when they are first asked for.

    Args:
      parts: of the procedure.
      where: their folder.
      during: as of `Context`.
    """
    self._where, self._read, self._split = where, {}, "eval"
    self._pictures = parts.procedure.pictures()
    self._chosen = {
      split: applying.asked(parts, split) for split in parts.config.apply.splits
    }
    super().__init__(
      parts.face,
      parts.mesh,
      spec=parts.spec,
      sources={
        split: splits.Subset(parts.sources[split], self.origins(parts, split))
        for split in self._chosen
      },
      consts={},
      fresh=self._no_weights,
      seed=parts.config.seed,
      during=during,
    )

  def origins(self, parts: applied.Parts, split: str) -> np.ndarray:
    """int64: the example of the split that each result was made of."""
    return self._chosen[split] % len(parts.sources[split])

  def _no_weights(self):
    raise errors.UserError(
      "an evaluator that asks for untrained weights",
      "one that looks at results",
      "set evals.<name>.reference=False, or remove it",
      "evals",
    )

  def fitted_on(self, split: str) -> contexts.Context:
    """Itself; there are no results of a split that an evaluator names."""
    if split:
      raise _elsewhere(f"an evaluator that fits on train_split={split!r}")
    return self

  def on(self, sources: Mapping[str, Any]) -> contexts.Context:
    """Refused: of other data there are no results."""
    del sources
    raise _elsewhere("an evaluator that looks at data of its own")

  def batches(self, split: str, limit: int | None = None) -> Iterator[Rows]:
    """As of a method, of the examples that there are results of."""
    if split not in self._chosen:
      raise errors.UserError(
        f"an evaluator that reads data.{split}_split",
        f"results of it; apply.splits={tuple(self._chosen)}",
        f"add {split!r} to apply.splits",
        "apply.splits",
      )
    for batch in super().batches(split, limit):
      self._split = split
      yield batch

  def apply(
    self,
    name: str,
    batch: Mapping[str, np.ndarray],
    weights: str,
    key: int = 0,
    whole: bool = False,
  ) -> Any:
    """Output "apply", or an entry of it, of a batch of `batches`.

    Pictures come back in the units of the inputs.
    """
    del weights, key
    index = batch["index"] if whole else self.devices.gather(batch["index"])
    rows = self.results(self._split)
    at = np.maximum(index, 0)
    entry = name.partition("/")[2]
    if entry and entry not in rows:
      raise errors.UserError(
        f"output {name}",
        f"one of {', '.join(f'{applied.OUTPUT}/{n}' for n in rows)}",
        "ask for one of these",
        "evals.<name>.predict",
      )
    wanted = [entry] if entry else list(rows)
    found = {n: self._units(n, rows[n][at]) for n in wanted}
    return found[entry] if entry else found

  def _units(self, name: str, x: np.ndarray) -> np.ndarray:
    if name not in self._pictures:
      return x
    return np.asarray(augment.normalise(self.spec, x))

  def results(self, split: str) -> Rows:
    """All of a split, as stored."""
    if split not in self._read:
      index = self._chosen[split]
      self._read[split] = load(self._where / split, index)
    return self._read[split]

  def shape(self, name: str) -> tuple[int, ...]:
    """Shape of an output for one example."""
    entry = name.partition("/")[2]
    return self._first[entry].shape[1:]

  def widths(self, names: Sequence[str]) -> dict[str, int]:
    """As of a method, of what is stored."""
    whole = {f"{applied.OUTPUT}/{n}": x for n, x in self._first.items()}
    asked = [
      path for name in names for path in whole if name in (path, applied.OUTPUT)
    ]
    return {path: math.prod(whole[path].shape[1:]) for path in asked}

  @property
  def _first(self) -> Rows:
    """Results of the first split there is."""
    return self.results(next(iter(self._chosen)))


def _elsewhere(seen: str) -> errors.UserError:
  return errors.UserError(
    seen,
    "one that looks at results: nothing else was made",
    "remove it; a run may read results that are stored (apply.store)",
    "evals",
  )


def store(
  parts: applied.Parts, context: Results, say: Callable[[str], None]
) -> None:
  """Writes the results as a data set, once, with their `origin`.

  That is the place of an example in its split, which several results share
  where `apply.repeats` asks for them.

  Args:
    parts: of the procedure.
    context: of the results.
    say: prints a line.

  Raises:
    UserError: a data set of that name is there, of other results.
  """
  name, data = parts.config.apply.store, parts.config.data
  asked = {
    "num": parts.config.apply.num,
    "repeats": parts.config.apply.repeats,
    "splits": sorted(splits.STORED[s] for s in parts.config.apply.splits),
  }
  text = json.dumps(fits.protocol(parts) | asked, indent=2, sort_keys=True)
  root = sources.default_dir()
  if data.data_dir:
    root = pathlib.Path(paths.expand(data.data_dir))
  path = write.folder_of(name, root)
  about = files.read_json(path / "dataset_info.json", {})
  if about.get("description") == text:
    say(f"stored before: {path}")
    return
  pictures = tuple(
    n
    for n in parts.procedure.pictures()
    if context.results(parts.config.apply.splits[0])[n].ndim == 4
  )
  rows = {
    splits.STORED[s]: {
      "origin": context.origins(parts, s),
      **context.results(s),
    }
    for s in parts.config.apply.splits
  }
  first = next(iter(rows.values()))
  classes = next(iter(parts.sources.values())).num_classes or 0
  count = lambda x: range(len(x["index"]))
  each = lambda x: (write.example(x, i, pictures) for i in count(x))
  made = write.dataset(
    name,
    root,
    features=write.features_of(first, pictures, classes),
    description=text,
    splits=lambda: {split: each(x) for split, x in rows.items()},
    key="apply.store",
  )
  say(f"stored: {made}")
