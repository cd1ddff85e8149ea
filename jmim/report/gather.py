"""What the report of a run shows, read from nothing but its workdir.

    gather(workdir) -> name, title, facts, series, overlays, evals, pictures,
                       config, checkpoints, notes          (JSON values only)

Everything but `metrics.jsonl` may be missing: the report of a run that was
killed, copied in part or made by an older version shows what there is.
"""

import datetime
import pathlib
import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jmim.core import base_config
from jmim.core import errors
from jmim.core import files
from jmim.report import curves
from jmim.report import pictures
from jmim.report import results
from jmim.runlog import clock
from jmim.runlog import console
from jmim.runlog import readings
from jmim.runlog import writer

# Facts that are the median over all log lines.
_MIDDLE = (
  ("images_per_second", "images / s", "{:,.0f}"),
  ("mfu", "MFU", "{:.1%}"),
  ("input_wait", "input wait", "{:.1%}"),
)
# Keys of run.json -> what they hold.
_NOTES = {
  "total": int,
  "defaults": dict,
  "model": dict,
  "hardware": dict,
  "environment": list,
  "starts": list,
}


def gather(
  workdir: pathlib.Path, limit: int = pictures.LIMIT
) -> dict[str, Any]:
  """The data of one run.

  Args:
    workdir: of the run.
    limit: most bytes of its pictures.

  Raises:
    UserError: it has no metrics.jsonl.
  """
  workdir = pathlib.Path(workdir)
  try:
    lines = writer.read(workdir)
  except OSError as e:
    raise errors.UserError(
      f"{workdir} has no metrics.jsonl that can be read",
      "the workdir of a run",
      "name the --workdir of jmim.main",
      "DIR",
    ) from e
  config = _config(workdir / "config.json")
  notes = _notes(workdir / "run.json")
  series = curves.series(lines)
  evals = results.evaluations(lines)
  shown, left_out = pictures.read(
    workdir / "images", list(config.get("evals", {})), limit
  )
  return {
    "name": "/".join(workdir.resolve().parts[-2:]),
    "title": title(config),
    "facts": [*headline(evals), *facts(lines, config, notes)],
    "headline": next((r["told"] for _, r in _ranked(evals) if r["told"]), ""),
    "series": series,
    "overlays": curves.overlays(series, evals),
    "references": results.reference_keys(evals),
    "evals": evals,
    "pictures": shown,
    "left_out": left_out,
    "config": settings(config, notes.get("defaults", {})),
    "checkpoints": checkpoints(workdir),
    "notes": notes,
    "batch": _count(config.get("data", {}).get("batch")),
  }


def _config(path: pathlib.Path) -> dict[str, Any]:
  """Of a config what is as it should be: others may have written it."""
  found = files.read_json(path, {}, _is_dict)
  sections = ("method", "data", "train", "evals")
  return {k: v for k, v in found.items() if k not in sections or _is_dict(v)}


def _notes(path: pathlib.Path) -> dict[str, Any]:
  """The same of run.json."""
  found = files.read_json(path, {}, _is_dict)
  notes = {
    k: v for k, v in found.items() if isinstance(v, _NOTES.get(k, object))
  }
  # The page shows one only beside the other.
  if not _count(notes.get("model", {}).get("parameters")):
    notes = notes | {"model": None, "hardware": None}
  if "starts" not in notes:
    notes["environment"] = None
  return {k: v for k, v in notes.items() if v is not None}


def _is_dict(x: Any) -> bool:
  return isinstance(x, dict)


def _count(x: Any) -> int:
  return x if isinstance(x, int) else 0


def title(config: Mapping[str, Any]) -> str:
  """Method and data, as in: mim.mae on cifar10."""
  method = config.get("method", {}).get("type", "a run")
  return f"{method} on {config.get('data', {}).get('name', 'its data')}"


def headline(evals: Sequence[results.Result]) -> list[list[str]]:
  """[label, text] of the number that says most; none without evaluations."""
  for name, row in _ranked(evals):
    if row["value"] is not None:
      reading = readings.Reading(row["unit"])
      shown = readings.number(row["value"], reading)
      return [[readings.label(name, row["key"]), shown]]
  return []


def _ranked(
  evals: Sequence[results.Result],
) -> list[tuple[str, results.Row]]:
  """Numbers with reference lines first, then those with a unit; no others."""
  every = [(one["name"], row) for one in evals for row in one["rows"]]
  told = [pair for pair in every if pair[1]["told"]]
  measured = [pair for pair in every if pair[1]["unit"] and pair not in told]
  # Of what is told, percent and the like say more than an error per pixel.
  return sorted(told, key=lambda pair: not pair[1]["unit"]) + measured


def facts(
  lines: Sequence[curves.Line],
  config: Mapping[str, Any],
  notes: Mapping[str, Any],
) -> list[list[str]]:
  """[label, text] of the summary at the top."""
  train = [line for line in lines if "images_per_second" in line]
  total = notes.get("total") or config.get("train", {}).get("total_steps")
  total = _count(total)
  step = max((line["step"] for line in lines), default=0)
  summary = [["steps", f"{step:,}" + (f" of {total:,}" if total else "")]]
  data = config.get("data", {})
  if data.get("name"):
    where = f" in {data['data_dir']}" if data.get("data_dir") else ""
    summary.append(["data", f"{data['name']}{where}"])
  if "model" in notes:
    summary.append(["parameters", console.size(notes["model"]["parameters"])])
  if not train:
    return summary
  losses = [k for k in train[-1] if k == "loss" or k.startswith("loss/")]
  summary += [[key, _shown(train[-1][key])] for key in losses[:2]]
  for key, name, form in _MIDDLE:
    values = [
      v for line in train if (v := curves.number(line.get(key))) is not None
    ]
    if values:
      summary.append([name, form.format(statistics.median(values))])
  seconds = _seconds(train, _count(data.get("batch")))
  summary.append(["time training", clock.human(seconds)])
  if share := _share(train[-1]):
    summary.append(["time in all", clock.human(seconds / share)])
  if skipped := train[-1].get("skipped_steps"):
    summary.append(["skipped steps", str(skipped)])
  return summary


def _share(line: curves.Line) -> float:
  """Of the whole time, that of training: steps, and waiting for input."""
  parts = (line.get(f"goodput/{name}") for name in ("steps", "input"))
  return sum(curves.number(x) or 0.0 for x in parts)


def _seconds(train: Sequence[curves.Line], batch: int) -> float:
  """Of training, from the rates of the log lines."""
  last, seconds = 0, 0.0
  for line in train:
    rate = curves.number(line["images_per_second"])
    seconds += (line["step"] - last) * batch / rate if rate else 0.0
    last = line["step"]
  return seconds


def _shown(value: Any) -> str:
  finite = curves.number(value) is not None
  return console.number(value) if finite else str(value)


# --- recipe, checkpoints


def settings(
  config: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[list[Any]]:
  """[key, value, default, whether it differs] of every key, as text.

  Args:
    config: nested.
    defaults: of the method's and evaluators' own keys, by dotted name; the
      default of a key that is unknown is "".
  """
  known = {k: v.default for k, v in base_config.KEYS.items()} | dict(defaults)
  table = []
  for key, value in _flat(config, ""):
    default = known.get(key)
    differs = key not in known or results.text(value) != results.text(default)
    shown = results.text(default) if key in known else ""
    table.append([key, results.text(value), shown, differs])
  return table


def _flat(node: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
  for key, value in sorted(node.items()):
    if isinstance(value, Mapping):
      yield from _flat(value, f"{prefix}{key}.")
    else:
      yield prefix + key, value


def checkpoints(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Complete checkpoints: step, folder in the workdir, bytes, time."""
  folders = [p for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]
  table = []
  for path in sorted(folders, key=lambda p: int(p.name)):
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    sizes = files.read_json(path / "sizes.json", {}, _is_dict).values()
    table.append(
      {
        "step": int(path.name),
        "folder": f"checkpoints/{path.name}",
        "bytes": console.size(sum(map(_count, sizes)), "B") if sizes else "",
        "time": f"{when:%Y-%m-%d %H:%M} UTC",
      }
    )
  return table
