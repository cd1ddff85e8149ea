"""Runs as weights of others: what `--mode=export` does.

    python -m jmim.main --mode=export --workdir=RUN --format=hf --out=DIR

A folder in the manner of the Hugging Face hub: `model.safetensors`,
`config.json`, `preprocessor_config.json` and a `README.md` with the figures of
the run. The config of jmim goes along (`jmim.json`), so that `jmim.load` and
`jmim.convert` read every format back. Arrays pass one at a time. A classifier
that has no place of its own is written in another form (`equals`).
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from jmim.checkpoints import classes
from jmim.checkpoints import heads
from jmim.checkpoints import identity
from jmim.checkpoints import note
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights as weight_files
from jmim.convert import card
from jmim.convert import equals
from jmim.convert import families
from jmim.convert import family as layouts
from jmim.convert import files
from jmim.convert import preprocessing
from jmim.convert import table as tables
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree

FORMATS = ("safetensors", "timm", "hf", "authors", "big_vision")
WEIGHTS = "model.safetensors"


class Leaves(Mapping[str, np.ndarray]):
  """The leaves of a checkpoint, read one at a time."""

  def __init__(self, workdir: pathlib.Path, weights: str):
    """Opens the newest checkpoint.

    Args:
      workdir: of the run.
      weights: "raw" or "ema".

    Raises:
      UserError: no checkpoint, or one without these weights.
    """
    self._store = checkpoint.Checkpoints(workdir, write=False)
    self.step = weight_files.newest(self._store)
    source = weight_files.SECTIONS[weights]
    self._where = {
      _target(name, source): (name.partition("/")[0], spec)
      for name, spec in self._store.meta(self.step)["arrays"].items()
      if name.partition("/")[0] in (source, "extra")
    }
    if not any(n.startswith("params/") for n in self._where):
      raise errors.UserError(
        f"{workdir} has no {source}",
        "a run with an EMA",
        "use --weights=raw",
        "--weights",
      )

  def __getitem__(self, name: str) -> np.ndarray:
    section, _ = self._where[name]
    leaf = f"{section}/{name.partition('/')[2]}"
    return weight_files.leaf(self._store, self.step, leaf)

  def __iter__(self) -> Iterator[str]:
    return iter(self._where)

  def __len__(self) -> int:
    return len(self._where)

  def specs(self) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Leaf name -> (shape, dtype)."""
    return {
      n: (tuple(s), np.dtype(d)) for n, (_, (s, d, *_)) in self._where.items()
    }

  def weights(self) -> files.Weights:
    """The same as a file that was opened."""
    entries = {
      n: files.Entry(s, d, functools.partial(self.__getitem__, n))
      for n, (s, d) in self.specs().items()
    }
    return files.Weights(entries, "the checkpoint")

  def close(self) -> None:
    """Closes the checkpoint."""
    self._store.close()


def _target(name: str, source: str) -> str:
  section, _, leaf = name.partition("/")
  return f"params/{leaf}" if section == source else name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
  """Where a run goes in a library.

  Attributes:
    config: of the run; `method` is what the library has a place for.
    method: of that config.
    leaves: of the method.
    name: of the layout; "": our own.
    family: the layout; None: our own.
    lines: what to tell.
  """

  config: ml_collections.ConfigDict
  method: Any
  leaves: files.Weights
  name: str = ""
  family: layouts.Family | None = None
  lines: tuple[str, ...] = ()


def run(
  workdir: pathlib.Path,
  library: str,
  out: pathlib.Path,
  weights: str = "raw",
  head: str = "",
) -> list[str]:
  """Writes the newest checkpoint of a run as a folder of weights.

  Args:
    workdir: of the run.
    library: one of FORMATS.
    out: the folder.
    weights: "raw" or "ema".
    head: name of the evaluator whose linear classifier goes with the encoder;
      "": none.

  Returns:
    lines about what the format has no place for.

  Raises:
    UserError: no checkpoint, or a method that the format cannot hold.
  """
  leaves = Leaves(workdir, weights)
  config = ml_collections.ConfigDict(checkpoint.read_config(workdir))
  discovery.check_stored(config, workdir)
  fitted = heads.read(workdir, head, leaves.step, weights) if head else None
  found = place(library, config, leaves.weights(), fitted)
  names = classes.of_run(workdir)
  described = describe(found.config, found.family, found.method, names)
  out.mkdir(parents=True, exist_ok=True)
  lines = list(found.lines)
  if found.family is None:
    files.write(out / WEIGHTS, found.leaves.specs(), found.leaves.items())
  else:
    lines += _write(found.family, found.method, found.leaves, out)
    lines += preprocessing.untold(found.config)
  leaves.close()
  for file, settings in described.items():
    text = json.dumps(settings, indent=2, sort_keys=True)
    (out / file).write_text(text + "\n", encoding="utf-8")
  note.write(
    out,
    found.config,
    family=found.name,
    step=leaves.step,
    weights=weights,
    consts={} if found.config is not config else identity.read(workdir),
    classes=list(names),
  )
  text = card.write(workdir, config, found.name, leaves.step, lines=lines)
  (out / "README.md").write_text(text, encoding="utf-8")
  return lines


def place(
  library: str,
  config: ml_collections.ConfigDict,
  leaves: files.Weights,
  head: heads.Head | None = None,
) -> Place:
  """Where a run, or its encoder with a classifier, goes in a library.

  Args:
    library: one of FORMATS.
    config: of the run.
    leaves: of its method.
    head: a classifier that is to go with the encoder.

  Raises:
    UserError: nowhere; why.
  """
  method, own = discovery.make(config.method), library == "safetensors"
  fits = lambda kind, method: own or families.fitting(library, kind, method)
  tried = [(config.method.type, method, leaves)]
  if head is not None or not fits(config.method.type, method):
    known = equals.probed(method, leaves, head) if head else None
    known = equals.finetuned(method, leaves) if known is None else known
    tried = [(equals.NAME, x.method, x.leaves) for x in known] or tried
  kind, best, leaves = next((x for x in tried if fits(*x[:2])), tried[0])
  lines: tuple[str, ...] = ()
  if best is not method:
    config = ml_collections.ConfigDict(json.loads(config.to_json()))
    config.method = ml_collections.ConfigDict(equals.section(best))
    lines = (f"written as {kind}, which computes the same",)
  found = Place(config=config, method=best, leaves=leaves, lines=lines)
  if own:
    return found
  name, family = families.for_export(library, kind, best)
  return dataclasses.replace(found, name=name, family=family)


def _write(family, method, leaves, out) -> list[str]:
  """Writes the arrays in the layout of a family; lines about the others."""
  rules, specs = family.table(method), leaves.specs()
  dropped = [n for n in leaves if layouts.matches(family.unsupported, n)]
  beside = [n for n in dropped if layouts.matches(family.beside, n)]
  if beside:
    kept = {n: specs[n] for n in beside}
    files.write(out / files.BESIDE, kept, ((n, leaves[n]) for n in beside))
  specs = {n: s for n, s in specs.items() if n not in dropped}
  tables.check_export(rules, specs)
  like = {n: np.broadcast_to(np.zeros((), d), s) for n, (s, d) in specs.items()}
  shapes = tables.shapes(rules, like)
  arrays = tables.export_stream(rules, leaves)
  if family.library == "big_vision":
    named = ((f"params/{n}", x) for n, x in arrays)
    files.write_npz(out / family.file, named)
  else:
    theirs = {n: (s, np.dtype(np.float32)) for n, s in shapes.items()}
    files.write(out / family.file, theirs, arrays)
  told = {
    f"in {files.BESIDE}": beside,
    "no place for": [n for n in dropped if n not in beside],
  }
  lines = [
    f"{where}: {place}" + (f" ({count} arrays)" if count > 1 else "")
    for where, some in told.items()
    for place, count in tree.folded(some, leaves).items()
  ]
  return [*lines, *family.notes]


def describe(
  config: ml_collections.ConfigDict,
  family: layouts.Family | None,
  method: Any,
  names: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
  """config.json and preprocessor_config.json by name, where they exist.

  Args:
    config: of the run.
    family: layout of the weights; None: our own.
    method: of the run.
    names: of the classes, in the order of the logits; (): not known.
  """
  if family is None or family.write_config is None:
    return {}
  image, settings = preprocessing.to_hf(config), family.write_config(method)
  if family.library == "timm":
    settings["pretrained_cfg"] = {
      "input_size": [method.channels, method.size, method.size],
      "mean": image["image_mean"],
      "std": image["image_std"],
      "interpolation": config.data.kernel,
      "fixed_input_size": True,
      "crop_pct": method.size / max(method.size, config.data.eval_resize),
      "crop_mode": "squash" if config.data.eval_crop == "squash" else "center",
      "num_classes": settings["num_classes"],
      "first_conv": "patch_embed.proj",
      "classifier": settings.pop("classifier", "head"),
    }
  if len(names) == getattr(method, "classes", None):
    settings |= _labels(family, names)
  described = {"config.json": settings, **family.more(method)}
  if family.library == "hf":
    described["preprocessor_config.json"] = image
  return described


def _labels(family: layouts.Family, names: Sequence[str]) -> dict[str, Any]:
  """Names of the classes as a library has them in its config.json."""
  if family.library == "timm":
    return {"label_names": list(names)}
  return dict(
    id2label={str(i): name for i, name in enumerate(names)},
    label2id={name: i for i, name in enumerate(names)},
  )
