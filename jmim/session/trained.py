"""What a run was trained with, beside the config it is looked at with."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import ml_collections

from jmim.checkpoints import identity
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import run_config
from jmim.session import manifest
from jmim.session import seen
from jmim.session import session as sessions

# Sections that are asked for anew each time, and change no weights.
_ASKED = ("sample", "hardware", "logging")


@contextlib.contextmanager
def open(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  allow_changes: bool = False,
) -> Iterator[sessions.Session]:
  """Opens a run to look at it, watched; nothing is created or changed in it.

  Args:
    config: what it is looked at with.
    workdir: of the run.
    allow_changes: as of `check`.

  Raises:
    UserError: as `sessions.open` and `check`.
  """
  with sessions.open(config, workdir, write=False, watched=True) as session:
    check(session, allow_changes)
    yield session


def check(session: sessions.Session, allow: bool = False) -> None:
  """Prints in what the config differs from that of the run.

  Args:
    session: of the run, and of the config.
    allow: keys that change what the weights mean may differ too.

  Raises:
    UserError: such a key differs, or a frozen network is another one.
  """
  before, lines = _changes(session)
  for line in lines.values():
    session.console.print(f"changed: {line}", style="yellow")
  wrong = run_config.of_weights(lines, before)
  if wrong and not allow and session.keeper.store.latest():
    raise errors.UserError(
      f"{session.workdir} was trained with another config:"
      + errors.listed([lines[key] for key in wrong], most=12),
      "the method and the pixels that its weights were trained for",
      "leave --config out, which takes that of the run; or set "
      "--allow_changes, if that is meant",
      wrong[0],
    )
  if not allow and session.keeper.store.latest():
    known = identity.read(session.workdir)
    parts, where = session.parts, session.workdir
    identity.check(parts.consts, known, where, parts.method.consts())


def is_finished(session: sessions.Session) -> bool:
  """Whether a run has nothing left to do; its last checkpoint is verified.

  Raises:
    UserError: it has done all its steps, and the config is another.
  """
  newest, store = seen.newest(session), session.keeper.store
  if newest < session.parts.total:
    return False
  read = lambda: None if session.group.index else weights.verify(store, newest)
  if session.group.attempt("last checkpoint", read, errors.Damaged, 4)[1]:
    return False  # the run goes on from the one before
  compare = lambda: session.group.index or _refuse_changes(session, newest)
  session.group.all_or_none("config compared", compare, errors.UserError)
  # What a signal has kept from the last step.
  return seen.evaluated(session, newest) >= session.parts.evaluators.keys()


def _refuse_changes(session: sessions.Session, newest: int) -> None:
  """Raises UserError if the config is not that of the run."""
  before, lines = _changes(session)
  if not lines:
    return
  first = run_config.of_weights(lines, before)
  lines = {key: lines[key] for key in (*first, *lines)}
  raise errors.UserError(
    f"{session.workdir} is finished, after {newest} steps, with another "
    "config:" + errors.listed([*lines.values()], most=12),
    "the config it was trained with, or more steps",
    "raise train.total_* to go on with it, look at it with --mode=eval, or "
    "choose another --workdir",
    next(iter(lines)),
  )


def _changes(
  session: sessions.Session,
) -> tuple[dict[str, Any], dict[str, str]]:
  """The config of the run with today's names of keys; key -> what changed.

  Not of sections that are asked for anew each time.
  """
  try:
    before = checkpoint.read_config(session.workdir)
  except (OSError, ValueError):
    text = "config.json cannot be read: nothing to compare the config with"
    session.console.print(text, style="yellow")
    return {}, {}
  before = manifest.modern(before, session.parts)
  now = json.loads(session.parts.config.to_json())
  lines = manifest.changes(before, now, session.parts)
  asked = lambda key: key.split(".")[0] in _ASKED
  return before, {key: x for key, x in lines.items() if not asked(key)}
