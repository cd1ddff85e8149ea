"""Runs as weights of others: what `--mode=export` does.

    python -m jmim.main --mode=export --workdir=RUN --format=hf --out=DIR

A folder in the manner of the Hugging Face hub: `model.safetensors`,
`config.json`, `preprocessor_config.json` and a `README.md` with the figures of
the run. The config of jmim goes along (`jmim.json`), so that `jmim.load` and
`jmim.convert` read every format back. Arrays pass one at a time.
"""

import json
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from jmim.checkpoints import identity
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights as weight_files
from jmim.convert import families
from jmim.convert import family as layouts
from jmim.convert import files
from jmim.convert import preprocessing
from jmim.convert import table as tables
from jmim.core import discovery
from jmim.core import errors
from jmim.runlog import writer as writers

FORMATS = ("safetensors", "timm", "hf", "authors", "big_vision")
JMIM = "jmim.json"
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

  def close(self) -> None:
    """Closes the checkpoint."""
    self._store.close()


def _target(name: str, source: str) -> str:
  section, _, leaf = name.partition("/")
  return f"params/{leaf}" if section == source else name


def run(
  workdir: pathlib.Path, library: str, out: pathlib.Path, weights: str = "raw"
) -> list[str]:
  """Writes the newest checkpoint of a run as a folder of weights.

  Args:
    workdir: of the run.
    library: one of FORMATS.
    out: the folder.
    weights: "raw" or "ema".

  Returns:
    lines about what the format has no place for.

  Raises:
    UserError: no checkpoint, or a method that the format cannot hold.
  """
  leaves = Leaves(workdir, weights)
  config = ml_collections.ConfigDict(checkpoint.read_config(workdir))
  method, name, family = discovery.make(config.method), "", None
  dropped: list[str] = []
  if library != "safetensors":
    name, family = families.for_export(library, config.method.type, method)
    dropped = [n for n in leaves if layouts.matches(family.unsupported, n)]
  described = describe(config, family, method)
  out.mkdir(parents=True, exist_ok=True)
  if family is None:
    files.write(out / WEIGHTS, leaves.specs(), leaves.items())
  else:
    _write(family, method, leaves=leaves, dropped=dropped, out=out)
  leaves.close()
  for file, settings in described.items():
    text = json.dumps(settings, indent=2, sort_keys=True)
    (out / file).write_text(text + "\n", encoding="utf-8")
  write_note(
    out,
    config,
    family=name,
    step=leaves.step,
    weights=weights,
    consts=identity.read(workdir),
  )
  (out / "README.md").write_text(
    card(workdir, config, name, leaves.step), encoding="utf-8"
  )
  return [f"no place for: {n}" for n in dropped]


def write_note(
  out: pathlib.Path, config: ml_collections.ConfigDict, **about: Any
) -> None:
  """Writes jmim.json.

  Args:
    out: the folder.
    config: of the run.
    **about: family (name, or "": our own names), step, weights ("raw" or
      "ema"), consts (`identity.Digests` of its frozen networks).
  """
  content = {"config": json.loads(config.to_json()), **about}
  (out / JMIM).write_text(
    json.dumps(content, indent=2) + "\n", encoding="utf-8"
  )


def _write(family, method, leaves, dropped, out) -> None:
  """Writes the arrays in the layout of a family."""
  rules = family.table(method)
  specs = {n: s for n, s in leaves.specs().items() if n not in dropped}
  tables.check_export(rules, specs)
  like = {n: np.broadcast_to(np.zeros((), d), s) for n, (s, d) in specs.items()}
  shapes = tables.shapes(rules, like)
  arrays = tables.export_stream(rules, leaves)
  if family.library == "big_vision":
    named = ((f"params/{n}", x) for n, x in arrays)
    files.write_npz(out / family.file, named)
    return
  theirs = {n: (s, np.dtype(np.float32)) for n, s in shapes.items()}
  files.write(out / family.file, theirs, arrays)


def describe(
  config: ml_collections.ConfigDict,
  family: layouts.Family | None,
  method: Any,
) -> dict[str, dict[str, Any]]:
  """config.json and preprocessor_config.json by name, where they exist.

  Args:
    config: of the run.
    family: layout of the weights; None: our own.
    method: of the run.
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
  described = {"config.json": settings}
  if family.library == "hf":
    described["preprocessor_config.json"] = image
  return described


def card(
  workdir: pathlib.Path,
  config: ml_collections.ConfigDict,
  family: str,
  step: int,
) -> str:
  """The model card: what it is, how to load it, what was measured.

  Args:
    workdir: of the run.
    config: of the run.
    family: name of the layout; "": our own.
    step: that was exported.
  """
  lines = [
    "---",
    "library_name: jmim",
    "tags: [jmim]",
    "---",
    "",
    f"# {config.method.type} on {config.data.name}",
    "",
    f"Exported from step {step} of a run of jmim"
    + (f", in the layout `{family}`." if family else "."),
    "",
    "```python",
    "import jmim",
    "",
    'model = jmim.load("THIS_FOLDER")',
    'print(model.offers, model.config["data"])',
    "```",
    "",
    "## Figures",
    "",
  ]
  figures = read_figures(workdir)
  lines += figures or ["No evaluation was logged."]
  method = json.dumps(json.loads(config.method.to_json()), indent=2)
  return "\n".join([*lines, "", "## Method", "", "```json", method, "```", ""])


def read_figures(workdir: pathlib.Path) -> list[str]:
  """Lines of a table of the last value of each evaluation; [] without any."""
  last = {}
  logged = (workdir / "metrics.jsonl").is_file()  # not of converted weights
  for line in writers.read(workdir) if logged else ():
    if "eval" in line:
      last |= {
        key: (value, line["step"])
        for key, value in line.items()
        if "/" in key and isinstance(value, int | float)
      }
  if not last:
    return []
  rows = [f"| {k} | {v:.5g} | {s} |" for k, (v, s) in sorted(last.items())]
  return ["| figure | value | step |", "|---|---|---|", *rows]
