"""What a procedure has fitted, and all that it and its results depend on.

    fitted/<mark>.npz    arrays; the mark is a hash of the protocol
    fitted/<mark>.json   the protocol: hashes of models, fields, data, seed

Made once: another start with the same protocol reads it.
"""

import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from jmim.core import errors
from jmim.core import files
from jmim.core import npy
from jmim.core import procedure as procedures
from jmim.core import tree as trees
from jmim.data import again
from jmim.data import keep
from jmim.data import texts
from jmim.parallel import hosts
from jmim.runlog import waits
from jmim.session import applied
from jmim.session import applying


def protocol(parts: applied.Parts) -> dict[str, Any]:
  """Everything that results depend on, apart from their numbers."""
  config = json.loads(parts.config.to_json())
  models = {name: one.sha256 for name, one in parts.given.items()}
  fit = fit_protocol(parts) if parts.procedure.fits else None
  return {
    "procedure": _without_paths(parts, config["procedure"]),
    "models": models,
    "data": _data(parts, config["data"]),
    "seed": config["seed"],
    "fit": fit and mark(fit),
  }


def fit_protocol(parts: applied.Parts) -> dict[str, Any]:
  """The same of a fit."""
  config = json.loads(parts.config.to_json())
  section = _without_paths(parts, config["procedure"])
  fields = {k: x for k, x in section.items() if k not in parts.procedure.asked}
  return {
    "procedure": fields,
    "models": {name: one.sha256 for name, one in parts.given.items()},
    "data": _data(parts, config["data"], "eval_split"),
    "seed": config["seed"],
    "fit_num": config["apply"]["fit_num"],
  }


def _data(
  parts: applied.Parts, section: dict[str, Any], *unread: str
) -> dict[str, Any]:
  """Which examples there are: a list of them by what it holds."""
  if not parts.config.data.name:
    return {}
  unread = ("batch", "data_dir", "keep", *texts.KEYS, *unread)
  data = {k: x for k, x in section.items() if k not in unread}
  kept = keep.digest(parts.sources.get("train"))
  told = texts.protocol(section)
  return data | told | ({"kept": kept} if kept else {})


def _without_paths(
  parts: applied.Parts, section: dict[str, Any]
) -> dict[str, Any]:
  """Without where models lie: their hashes say what they are."""
  return {k: x for k, x in section.items() if k not in parts.given}


def mark(about: dict[str, Any]) -> str:
  """A short name of a protocol."""
  text = json.dumps(about, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def fitted(
  work: applying.Work,
  workdir: pathlib.Path,
  group: hosts.Group | None = None,
) -> tuple[procedures.Arrays, str]:
  """(what is fitted, a line on where it comes from).

  It is read where it is in the workdir; else made, and kept there.

  Args:
    work: of the procedure.
    workdir: for what is made.
    group: the processes; None: this one.

  Raises:
    OSError: it cannot be written, or another host cannot read what the first
      one can.
  """
  parts = work.parts
  if not parts.procedure.fits:
    return {}, "nothing to fit"
  about = fit_protocol(parts)
  path = workdir / "fitted" / f"{mark(about)}.npz"
  found, why = _read(path, group or hosts.Group())
  if found is not None:
    return found, f"fit read from {path}"
  line = f"fit written to {path}" + f", anew: {why}" * bool(why)
  with work.during(waits.FIT):
    made = parts.procedure.fit(work.rows(parts.config.apply.fit_num))
    made = jax.tree.map(np.asarray, made)
  if jax.process_index() == 0:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.writing(path) as file:
      np.savez(file, **trees.named(made))
    text = json.dumps(about, indent=2, sort_keys=True) + "\n"
    files.replace(path.with_suffix(".json"), text)
  return made, line


def _read(
  path: pathlib.Path, group: hosts.Group
) -> tuple[procedures.Arrays | None, str]:
  """(what is in a file, or None; why it cannot be used).

  Whether it can be is what the first host sees: all of them are needed to fit
  anew, and a network disk may show some of them an old state.
  """
  found, why = None, ""

  def read() -> procedures.Arrays:
    with np.load(path) as stored:
      return trees.nested(dict(stored))

  try:
    found = again.attempt(read)
  except FileNotFoundError:
    pass
  except npy.BROKEN as e:
    why = f"what was there {errors.first_line(e)}"
  if not group.of_first("fit looked at", "there" * (found is not None)):
    return None, why

  def check() -> None:
    if found is None:
      raise OSError(f"{path} cannot be read, as the first host can: {why}")

  group.all_or_none("fit read", check, OSError)
  return found, ""
