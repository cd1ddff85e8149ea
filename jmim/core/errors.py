"""One way to tell a user what is wrong: seen, expected, remedy, key."""

import errno
from collections.abc import Sequence

_FULL = "No space left on device"
# What a program ends with; docs/faults.md has all of them.
MISTAKE, DIVERGED, NOT_SAVED, HOSTS_MISSING = 2, 3, 4, 5
PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: to be tried again

INDENT = 11  # columns before the text of a screen: "expected: "


class UserError(ValueError):
  """A mistake that its user can mend; printed without a traceback.

  Attributes:
    seen: what was found, with its value.
    expected: what would have been right, with the allowed values.
    fix: what to do about it, in the imperative.
    key: the config key (or flag) to change, or None.
  """

  def __init__(
    self, seen: str, expected: str, fix: str, key: str | None = None
  ):
    self.seen, self.expected, self.fix, self.key = seen, expected, fix, key
    super().__init__(self.screen())

  def __reduce__(self):
    # Workers send it to their parent.
    return type(self), (self.seen, self.expected, self.fix, self.key)

  def screen(self) -> str:
    """The message as shown on a terminal: four short labelled lines."""
    rows = [("seen", self.seen), ("expected", self.expected)]
    if self.key:
      rows.append(("key", self.key))
    rows.append(("fix", self.fix))
    return "\n".join(f"{name:>{INDENT - 2}}: {text}" for name, text in rows)


class Damaged(UserError):
  """A checkpoint that is not as it was saved."""


class NotSaved(RuntimeError):
  """A checkpoint, or a line of metrics, could not be written."""


class HostsMissing(RuntimeError):
  """Some processes of a run did not come in time."""


class Preempted(RuntimeError):
  """The run was asked to stop, and has saved its state."""


def listed(lines: Sequence[str], most: int = 60) -> str:
  """Lines below the label of a screen, indented; of more than `most` a count.

  The first stands on a line of its own: "does not fit:" + listed(lines).
  """
  rest = [f"... and {len(lines) - most} more"] if len(lines) > most else []
  return "".join(f"\n{' ' * INDENT}{x}" for x in [*lines[:most], *rest])


def first_line(error: BaseException) -> str:
  """Type and message of an error from elsewhere, on one line."""
  text = str(error).strip().split("\n")[0][:200]
  line = f"{type(error).__name__}: {text}"
  if _is_full(error) and _FULL not in line:
    return f"{_FULL} ({line})"
  return line


def _is_full(error: BaseException | None) -> bool:
  """Whether a full disk is behind an error, however deep in it."""
  while error is not None:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or _FULL in str(error):
      return True
    error = error.__cause__ or error.__context__
  return False


class Diverged(RuntimeError):
  """Training stopped because the loss stayed non-finite."""

  @classmethod
  def at(
    cls,
    step: int,
    skipped: int,
    names: Sequence[str] = (),
    saved: int | None = None,
  ) -> "Diverged":
    """After `skipped` steps in a row that were not finite, `step` the last.

    Args:
      step: the last of them.
      skipped: how many they are.
      names: what was not finite in the last.
      saved: the newest checkpoint before the first; None: there is none.
    """
    first = step - skipped + 1
    more = ", ..." * (len(names) > 4)
    leaves = f" In the last: {', '.join(names[:4])}{more}." if names else ""
    return cls(
      f"loss or gradient not finite in {skipped} steps in a row "
      f"(steps {first} to {step}); stopped.{leaves} The examples are in "
      f"diverged.json; {_closer(first, saved)}. Try a lower optim.lr, "
      "optim.clip_norm=1, or hardware.dtype=f32; the limit is train.max_skips."
    )


def _closer(step: int, saved: int | None) -> str:
  """How to look at a step that went wrong, if that can be done."""
  if saved is not None:
    return (
      f"look closer with --mode=eval --replay_step={step}, which goes on from "
      f"checkpoint {saved}"
    )
  if step == 1:
    return "it was so from the first step on"
  return (
    f"no checkpoint is from before step {step}: to look closer train in "
    f"another workdir with train.checkpoint_steps={step - 1}"
  )
