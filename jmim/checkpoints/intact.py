"""Which checkpoint a run goes on from: the newest that is intact.

With several processes it is one that all of them can read.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.checkpoints import store as checkpoint
from jmim.core import errors


def restore(
  store: checkpoint.Checkpoints,
  like: Any,
  warn: Callable[[str], None],
  before: int | None = None,
  how: Callable[[int, Any], Any] | None = None,
) -> tuple[int, Any, Mapping[str, Any]]:
  """(step, state, meta) of the newest checkpoint that is intact.

  Damaged ones newer than that are moved to workdir/damaged, unless the store
  only reads.

  Args:
    store: of the run; it has one at least.
    like: as for `Checkpoints.restore`.
    warn: prints a line about every damaged checkpoint.
    before: only those of smaller steps.
    how: (step, like) -> state, in place of that method.

  Raises:
    UserError: as that method, of the newest, if none is intact.
  """
  steps = [s for s in store.steps()[::-1] if before is None or s < before]
  bad = {}
  for step in steps:
    try:
      meta = store.read_intact(step, "meta data", lambda s=step: store.meta(s))
      state = (how or store.restore)(step, like)
    except errors.Damaged as e:
      bad[step] = e
      warn(f"checkpoint {step} is damaged: {e.seen}")
      continue
    if bad:
      warn(f"falling back to the checkpoint of step {step}")
      store.set_aside(bad)
    return step, state, meta
  raise bad[steps[0]]
