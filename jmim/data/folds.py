"""A split but for one of its folds, as `data.train_split` writes it."""

from jmim.core import errors


def without(fold: int, folds: int, split: str = "train") -> str:
  """All folds but one.

  Args:
    fold: 0 .. folds - 1, which is left out; -1: none.
    folds: equal parts.
    split: name of the whole.

  Returns:
    "train[:25%]+train[50%:]", say.

  Raises:
    UserError: there is no such fold, or nothing would be left.
  """
  if not -1 <= fold < folds or fold >= 0 and folds < 2:
    raise errors.UserError(
      f"fold={fold} of folds={folds}",
      "-1, or 0 to folds - 1 of two folds or more",
      "correct it",
      "--config",
    )
  if fold < 0:
    return split
  first, end = (f"{100 * k / folds:g}%" for k in (fold, fold + 1))
  before = [f"{split}[:{first}]"] if fold else []
  after = [f"{split}[{end}:]"] if fold + 1 < folds else []
  return "+".join(before + after)
