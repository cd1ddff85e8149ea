"""What the report of a run shows, read from nothing but its workdir.

    gather(workdir) -> name, title, facts, series, overlays, evals, pictures,
                       config, checkpoints, notes          (JSON values only)

Everything but `metrics.jsonl` may be missing: the report of a run that was
killed, copied in part or made by an older version shows what there is.
"""

import datetime
import json
import math
import pathlib
import re
import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jmim.core import base_config
from jmim.core import errors
from jmim.report import pictures
from jmim.runlog import clock
from jmim.runlog import console
from jmim.runlog import writer

POINTS = 4000  # most points of a curve; beyond, each stretch keeps its extremes
_NOT_CURVES = ("step", "eval", "protocol")
# Facts that are the median over all log lines.
_MIDDLE = (
  ("images_per_second", "images / s", "{:,.0f}"),
  ("mfu", "MFU", "{:.1%}"),
  ("input_wait", "input wait", "{:.1%}"),
)
# What the name of a number says it is a reference line of: "pixels_accuracy"
# stands beside "accuracy", "mse_nearest" beside "mse".
_REFERENCES = (
  re.compile(r"(?P<line>pixels|untrained)_(?P<of>.+)"),
  re.compile(r"(?P<of>.+)_(?P<line>nearest|colour)"),
)


def gather(workdir: pathlib.Path, limit: int = pictures.LIMIT) -> dict:
  """The data of one run.

  Args:
    workdir: of the run.
    limit: most bytes of its pictures.

  Raises:
    UserError: it has no metrics.jsonl.
  """
  workdir = pathlib.Path(workdir)
  try:
    lines = writer.complete(workdir)
  except OSError as e:
    raise errors.UserError(
      f"{workdir} has no metrics.jsonl that can be read",
      "the workdir of a run",
      "name the --workdir of jmim.main",
      "DIR",
    ) from e
  config, notes = _json(workdir / "config.json"), _json(workdir / "run.json")
  curves = series(lines)
  evals = evaluations(lines)
  shown, left_out = pictures.read(
    workdir / "images", list(config.get("evals", {})), limit
  )
  return {
    "name": "/".join(workdir.resolve().parts[-2:]),
    "title": title(config),
    "facts": facts(lines, config, notes),
    "series": curves,
    "overlays": overlays(curves, evals),
    "references": reference_keys(evals),
    "evals": evals,
    "pictures": shown,
    "left_out": left_out,
    "config": settings(config, notes.get("defaults", {})),
    "checkpoints": checkpoints(workdir),
    "notes": notes,
    "batch": config.get("data", {}).get("batch", 0),
  }


def _json(path: pathlib.Path) -> dict[str, Any]:
  return json.loads(path.read_text()) if path.exists() else {}


def title(config: Mapping[str, Any]) -> str:
  """Method and data, as in: mim.mae on cifar10."""
  method = config.get("method", {}).get("type", "a run")
  return f"{method} on {config.get('data', {}).get('name', 'its data')}"


def number(value: Any) -> float | None:
  """Six digits of a finite number; None for anything else ("nan")."""
  good = isinstance(value, int | float) and not isinstance(value, bool)
  return float(f"{value:.6g}") if good and math.isfinite(value) else None


# --- curves


def series(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
  """Name -> {"x": steps, "y": values or None, "eval": whether, "of": count}."""
  found: dict[str, Any] = {}
  for line in lines:
    for key, value in line.items():
      if key in _NOT_CURVES or isinstance(value, list | dict):
        continue
      empty = {"x": [], "y": [], "eval": line.get("eval", "")}
      one = found.setdefault(key, empty)
      one["x"].append(line["step"])
      one["y"].append(number(value))
  return {key: thin(one) for key, one in found.items()}


def thin(one: dict[str, Any], limit: int = POINTS) -> dict[str, Any]:
  """At most about `limit` points: of each stretch the least and greatest."""
  x, y = one["x"], one["y"]
  one["of"] = len(x)
  if len(x) <= limit:
    return one
  size, kept = math.ceil(2 * len(x) / limit), {0, len(x) - 1}
  for start in range(0, len(x), size):
    stretch = range(start, min(start + size, len(x)))
    real = [i for i in stretch if y[i] is not None]
    kept |= (
      {stretch[0]}
      if not real
      else {min(real, key=y.__getitem__), max(real, key=y.__getitem__)}
    )
  order = sorted(kept)
  return one | {"x": [x[i] for i in order], "y": [y[i] for i in order]}


def overlays(
  curves: Mapping[str, Any], evals: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
  """Training curve -> the same number on held-out images."""
  found = {}
  for one in evals:
    if one["type"].endswith(".loss"):
      for key in curves:
        held_out = f"{one['name']}/{key}"
        if held_out in curves and not curves[key]["eval"]:
          found[key] = held_out
  return found


# --- numbers


def evaluations(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """The newest results of each evaluator, references beside their numbers."""
  newest = {line["eval"]: line for line in lines if "eval" in line}
  found = []
  for name, line in newest.items():
    prefix = f"{name}/"
    values = {
      k.removeprefix(prefix): v for k, v in line.items() if k.startswith(prefix)
    }
    protocol = line.get("protocol", {})
    found.append(
      {
        "name": name,
        "type": protocol.get("type", ""),
        "step": line["step"],
        "rows": rows(values),
        "protocol": [[k, text(v)] for k, v in protocol.items()],
      }
    )
  return found


def reference(key: str, values: Mapping[str, Any]) -> tuple[str, str] | None:
  """(number, line) if `key` is a reference line of another number."""
  for pattern in _REFERENCES:
    match = pattern.fullmatch(key)
    if match and match["of"] in values:
      return match["of"], match["line"]
  return None


def rows(values: Mapping[str, Any]) -> list[dict[str, Any]]:
  """One row per number: {"key", "value", "lines": {name: value}}."""
  found = {
    k: {"key": k, "value": number(v), "lines": {}}
    for k, v in values.items()
    if not reference(k, values)
  }
  for key, value in values.items():
    if belongs := reference(key, values):
      found[belongs[0]]["lines"][belongs[1]] = number(value)
  return list(found.values())


def reference_keys(evals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Curve -> {line: value}, to be drawn as horizontal lines."""
  return {
    f"{one['name']}/{row['key']}": row["lines"]
    for one in evals
    for row in one["rows"]
    if row["lines"]
  }


def facts(
  lines: Sequence[Mapping[str, Any]],
  config: Mapping[str, Any],
  notes: Mapping[str, Any],
) -> list[list[str]]:
  """[label, text] of what one wants to know first."""
  train = [line for line in lines if "images_per_second" in line]
  total = notes.get("total") or config.get("train", {}).get("total_steps", 0)
  step = max((line["step"] for line in lines), default=0)
  found = [["steps", f"{step:,}" + (f" of {total:,}" if total else "")]]
  if notes:
    found.append(["parameters", console.size(notes["model"]["parameters"])])
  if not train:
    return found
  losses = [k for k in train[-1] if k == "loss" or k.startswith("loss/")]
  found += [[key, _shown(train[-1][key])] for key in losses[:2]]
  for key, name, form in _MIDDLE:
    values = [v for line in train if (v := number(line.get(key))) is not None]
    if values:
      found.append([name, form.format(statistics.median(values))])
  batch, last, seconds = config.get("data", {}).get("batch", 0), 0, 0.0
  for line in train:
    rate = number(line["images_per_second"])
    seconds += (line["step"] - last) * batch / rate if rate else 0.0
    last = line["step"]
  found.append(["time training", clock.human(seconds)])
  if skipped := train[-1].get("skipped_steps"):
    found.append(["skipped steps", str(skipped)])
  return found


def _shown(value: Any) -> str:
  return console.number(value) if number(value) is not None else str(value)


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
  found = []
  for key, value in _flat(config, ""):
    default = known.get(key)
    differs = key not in known or text(value) != text(default)
    shown = text(default) if key in known else ""
    found.append([key, text(value), shown, differs])
  return found


def _flat(node: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
  for key, value in sorted(node.items()):
    if isinstance(value, Mapping):
      yield from _flat(value, f"{prefix}{key}.")
    else:
      yield prefix + key, value


def text(value: Any) -> str:
  """A value as config.json has it; strings without quotes."""
  return value if isinstance(value, str) else json.dumps(value, default=str)


def checkpoints(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Complete checkpoints: step, link from the report, bytes, time."""
  folders = [p for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]
  found = []
  for path in sorted(folders, key=lambda p: int(p.name)):
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    sizes = _json(path / "sizes.json")
    found.append(
      {
        "step": int(path.name),
        "link": f"checkpoints/{path.name}",
        "bytes": console.size(sum(sizes.values()), "B") if sizes else "",
        "time": f"{when:%Y-%m-%d %H:%M} UTC",
      }
    )
  return found
