"""What a run was trained with, beside the config it is looked at with."""

import json
from typing import Any

from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import run_config
from jmim.runlog import writer as writers
from jmim.session import manifest
from jmim.session import session as sessions

# Sections that are asked for anew each time, and change no weights.
_ASKED = ("sample", "hardware", "logging")


def check(session: sessions.Session, allow: bool = False) -> None:
  """Prints in what the config differs from that of the run.

  Args:
    session: of the run, and of the config.
    allow: keys that change what the weights mean may differ too.

  Raises:
    UserError: such a key differs.
  """
  before, now = _configs(session)
  keys = _outside(run_config.changed(before, now))
  lines = _lines(keys, before, now)
  for line in lines.values():
    session.console.print(f"changed: {line}", style="yellow")
  wrong = run_config.of_weights(keys, before)
  if wrong and not allow and session.keeper.store.latest():
    raise errors.UserError(
      f"{session.workdir} was trained with another config:"
      + errors.listed([lines[key] for key in wrong], most=12),
      "the method and the pixels that its weights were trained for",
      "leave --config out, which takes that of the run; or set "
      "--allow_changes, if that is meant",
      wrong[0],
    )


def is_finished(session: sessions.Session) -> bool:
  """Whether a run has nothing left to do; its last checkpoint is verified.

  Raises:
    UserError: it has done all its steps, and the config is another.
  """
  total, store = session.parts.total, session.keeper.store
  newest = store.latest() or 0
  session.group.agree(
    "finished",
    {"newest checkpoint": str(newest)},
    "give all the same --workdir, on a disk they share",
    {"newest checkpoint": "--workdir"},
  )
  if newest < total:
    return False
  read = lambda: None if session.group.index else weights.verify(store, newest)
  if session.group.attempt("last checkpoint", read, errors.Damaged, 4)[1]:
    return False  # the run goes on from the one before
  before, now = _configs(session)
  keys = _outside(run_config.changed(before, now))
  known = before.get("evals", now["evals"])
  keys += [f"evals.{n}.type" for n in now["evals"] if n not in known]
  if keys:
    first = run_config.of_weights(keys, before)
    keys = [*first, *(k for k in keys if k not in first)]
    _refuse(session, newest, _lines(keys, before, now))
  return not _left(session, newest)


def _refuse(
  session: sessions.Session, newest: int, lines: dict[str, str]
) -> None:
  raise errors.UserError(
    f"{session.workdir} is finished, after {newest} steps, with another "
    "config:" + errors.listed([*lines.values()], most=12),
    "the config it was trained with, or more steps",
    "raise train.total_* to go on with it, look at it with --mode=eval, or "
    "choose another --workdir",
    next(iter(lines)),
  )


def _left(session: sessions.Session, step: int) -> list[str]:
  """Evaluators that a signal has kept from the last step."""
  path = session.workdir / "metrics.jsonl"
  lines = writers.complete(session.workdir) if path.exists() else []
  done = {line.get("eval") for line in lines if line["step"] == step}
  return [name for name in session.parts.evaluators if name not in done]


def _configs(
  session: sessions.Session,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """(the config of the run with today's names of keys, the config now)."""
  now = json.loads(session.parts.config.to_json())
  try:
    before = checkpoint.read_config(session.workdir)
  except (OSError, ValueError):
    text = "config.json cannot be read: nothing to compare the config with"
    session.console.print(text, style="yellow")
    return {}, now
  before = {"method": {}, "evals": {}} | before
  return manifest.modern(before, session.parts), now


def _outside(keys: list[str]) -> list[str]:
  """Those of no section that is asked for anew each time."""
  return [key for key in keys if key.split(".")[0] not in _ASKED]


def _lines(
  keys: list[str], before: dict[str, Any], now: dict[str, Any]
) -> dict[str, str]:
  """Key -> what it was and what it is."""
  old, new = configs.flat(before), configs.flat(now)
  show = lambda values, key: values.get(key, "not there")
  return {k: f"{k}: {show(old, k)} -> {show(new, k)}" for k in keys}
