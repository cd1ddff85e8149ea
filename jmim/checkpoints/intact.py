"""Which checkpoint a run goes on from: the newest that is intact.

With several processes it is one that all of them can read, and of which all
read the same: a run that was rolled back has saved a step a second time, and a
network disk may still show some of them the first.
"""

import json
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from jmim.checkpoints import folder as saved
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.parallel import alike


def restore(
  store: checkpoint.Checkpoints,
  like: Any,
  warn: Callable[[str], None],
  before: int | None = None,
  how: Callable[[int, Any], Any] | None = None,
) -> tuple[int, Any, Mapping[str, Any]]:
  """(step, state, meta) of the newest checkpoint that is intact.

  Damaged ones newer than that are moved to workdir/damaged, unless the store
  only reads. Then a run may go on beside it, and delete what is read here: what
  is no longer there is not damaged.

  Args:
    store: of the run; it has one at least.
    like: as for `Checkpoints.restore`.
    warn: prints a line about every damaged checkpoint.
    before: only those of smaller steps.
    how: (step, like) -> state, in place of that method.

  Raises:
    UserError: as that method, of the newest, if none is intact; hosts read
      other meta data, still after a minute.
  """
  bad: dict[int, errors.Damaged] = {}
  while steps := _left(store, before, bad):
    step = steps[-1]
    try:
      meta = _meta(store, step, warn)
      state = (how or store.restore)(step, like)
    except errors.Damaged as e:
      if step in _seen(store):  # else the run beside has deleted it
        bad[step] = e
        warn(f"checkpoint {step} is damaged: {e.seen}")
      continue
    if bad:
      warn(f"falling back to the checkpoint of step {step}")
      store.set_aside(bad)
    return step, state, meta
  if bad:
    raise bad[max(bad)]
  raise saved.damaged(store.path, OSError("its checkpoints were deleted"))


def _meta(
  store: checkpoint.Checkpoints, step: int, warn: Callable[[str], None]
) -> Mapping[str, Any]:
  """The meta data of a checkpoint, all of which is the same on all hosts."""
  found: dict[str, Any] = {}

  def look():
    read = lambda: store.meta(step)
    found.update(now=store.read_intact(step, "meta data", read))
    return saved.digest(found["now"])

  alike.looked(store.group, f"meta data of checkpoint {step}", look, warn)
  return found["now"]


def _left(
  store: checkpoint.Checkpoints, before: int | None, bad: Collection[int]
) -> list[int]:
  """The steps that may be tried, oldest first."""
  fits = lambda step: step not in bad and (before is None or step < before)
  return [*filter(fits, _seen(store))]


def _seen(store: checkpoint.Checkpoints) -> list[int]:
  """The steps that the first host sees, oldest first."""
  text = json.dumps(store.steps())
  return json.loads(store.group.of_first("checkpoints seen", text))
