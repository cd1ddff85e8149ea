"""A mask ratio that grows during training (Ma et al. 2024, LMD).

Over T steps, from r_0 = `start` to r_1, which is reached after 2 T / 3:

    cosine     n = int(2 T / 3), f(s) = cos^2((s / n + 0.008) / 1.008 pi / 2)
               r = r_0 + (r_1 - r_0) (1 - f(s) / f(0)), the released default
    piecewise  lines r_0 to `middle` at T / 6, level to T / 3, to r_1 at 2 T / 3
    linear     one line
    fixed      r_1 at all steps

The released code has `piecewise` as a comment whose second line starts from
step 0 and so passes 1; here it is as meant. `linear` stands for the third
scheduler of the paper, which is not in the code: from memory, not verified.
"""

import dataclasses

import numpy as np

from jmim.core import field

OFFSET = 0.008  # Nichol and Dhariwal's
NAMES = ("cosine", "piecewise", "linear", "fixed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curriculum:
  """Mask ratio over the steps, and how many programs it is made of."""

  name: str = field.value("cosine", "shape of the schedule", choices=NAMES)
  start: float = field.value(
    0.15, "share hidden at step 0 (not with fixed)", low=0.0, below=1.0
  )
  middle: float = field.value(
    0.4, "share hidden on the level of piecewise", low=0.0, below=1.0
  )
  steps: int = field.value(
    250_000,
    "steps T of the whole training; two thirds of them change the ratio",
    low=1,
  )
  budgets: int = field.value(
    6, "programs for different numbers of visible tokens, see nn.budget", low=1
  )

  def lengths(self, name: str) -> dict[str, int]:
    """As `Method.lengths`, for a part of this name; none of a fixed ratio."""
    return {} if self.name == "fixed" else {f"{name}.steps": self.steps}

  def check(self, end: float) -> None:
    """Raises ValueError where the ratio would fall.

    Args:
      end: r_1.
    """
    if self.name == "fixed":
      return
    middle = (self.middle,) if self.name == "piecewise" else ()
    ratios = (self.start, *middle, end)
    if list(ratios) != sorted(ratios):
      names = ("start", *["middle"] * len(middle))
      what = ", ".join(f"curriculum.{name}" for name in names)
      raise ValueError(f"{what}, mask_ratio: {ratios} do not rise")

  def ratios(self, end: float, steps: int = 0) -> np.ndarray:
    """[steps] float64, the share hidden in steps 0, 1, ...

    Args:
      end: r_1.
      steps: how many; 0: up to the first that has r_1, and all after it do.
    """
    total, last = self.steps, int(2 * self.steps / 3)
    if self.name == "fixed":
      return np.full(steps or 1, end)
    if self.name != "cosine":
      last = -(-2 * total // 3)
    s = np.arange(steps or last + 1, dtype=np.float64)
    if self.name == "cosine":
      f = lambda s: (
        np.cos((s / max(last, 1) + OFFSET) / (1 + OFFSET) * np.pi / 2) ** 2
      )
      ratio = self.start + (end - self.start) * (1 - f(s) / f(0.0))
      return np.where(s >= last, end, ratio)
    level = [total / 6, total / 3] if self.name == "piecewise" else []
    shares = [self.start, *[self.middle] * len(level), end]
    return np.interp(s, [0.0, *level, 2 * total / 3], shares)

  def counts(self, n: int, end: float) -> np.ndarray:
    """[T] visible tokens of n, int(n (1 - r)) in double precision.

    Args:
      n: tokens.
      end: r_1.
    """
    return (n * (1 - self.ratios(end, self.steps))).astype(np.int64)
