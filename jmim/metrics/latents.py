"""Running statistics of what an autoencoder makes of a data set."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Moments:
  """Running mean and std of the latents of all examples.

  Attributes:
    n: numbers seen.
    total: their sum.
    square: the sum of their expected squares.
  """

  n: int = 0
  total: float = 0.0
  square: float = 0.0

  def add(self, moments: np.ndarray, gaussian: bool) -> None:
    """Counts the moments of a batch.

    Args:
      moments: [b, h, w, c]; of Gaussians [b, h, w, 2 c], mean and log variance.
      gaussian: which of the two.
    """
    mean, var = moments.astype(np.float64), 0.0
    if gaussian:
      mean, log_var = np.split(mean, 2, axis=-1)
      # E x^2 = mean^2 + var; clipped as the posterior is sampled.
      var = np.exp(np.clip(log_var, -30, 20)).sum()
    self.n += mean.size
    self.total += mean.sum()
    self.square += (mean**2).sum() + var

  @property
  def std(self) -> float:
    """Standard deviation of samples of the posteriors."""
    return float(np.sqrt(self.square / self.n - (self.total / self.n) ** 2))

  def __str__(self) -> str:
    return f"latents: std {self.std:.5g}, scale {1 / self.std:.5g}"


@dataclasses.dataclass
class Codes:
  """How often each code was seen.

  Attributes:
    counts: [codes].
  """

  counts: np.ndarray

  def add(self, codes: np.ndarray, gaussian: bool) -> None:
    """Counts the codes [b, n] of a batch; `gaussian` as of `Moments.add`."""
    del gaussian
    self.counts += np.bincount(codes.ravel(), minlength=len(self.counts))

  def __str__(self) -> str:
    used = int((self.counts > 0).sum())
    return f"codes: {used} of {len(self.counts)} used"
