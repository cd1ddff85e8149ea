"""One way to tell a user what is wrong: seen, expected, remedy, key."""

from collections.abc import Sequence

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
  return f"{type(error).__name__}: {text}"


class Diverged(RuntimeError):
  """Training stopped because the loss stayed non-finite."""

  @classmethod
  def at(cls, step: int, skipped: int, names: Sequence[str] = ()) -> "Diverged":
    """After `skipped` steps in a row that were not finite, `step` the last.

    `names`: what was not finite in that one.
    """
    more = ", ..." * (len(names) > 4)
    leaves = f" In the last: {', '.join(names[:4])}{more}." if names else ""
    return cls(
      f"loss or gradient not finite in {skipped} steps in a row "
      f"(steps {step - skipped + 1} to {step}); stopped.{leaves} The examples "
      f"are in diverged.json; look closer with --mode=eval --replay_step="
      f"{step - skipped + 1}. Try a lower "
      "optim.lr, optim.clip_norm=1, or hardware.dtype=f32; the limit is "
      "train.max_skips."
    )
