"""Running statistics of what an autoencoder makes of a data set."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Moments:
  """Running mean and std of the latents of all examples, by channel.

  Attributes:
    n: numbers seen, of all channels.
    total: [c] their sums; 0 before the first.
    square: [c] the sums of their expected squares.
  """

  n: int = 0
  total: np.ndarray | float = 0.0
  square: np.ndarray | float = 0.0

  def add(self, moments: np.ndarray, gaussian: bool) -> None:
    """Counts the moments of a batch.

    Args:
      moments: [b, ..., c]; of Gaussians [b, ..., 2 c], mean and log variance.
      gaussian: which of the two.
    """
    mean, var = moments.astype(np.float64), 0.0
    if gaussian:
      mean, log_var = np.split(mean, 2, axis=-1)
      # E x^2 = mean^2 + var; clipped as the posterior is sampled.
      var = np.exp(np.clip(log_var, -30, 20))
    places = tuple(range(mean.ndim - 1))  # of clips also frames
    self.n += mean.size
    self.total = self.total + mean.sum(places)
    self.square = self.square + (mean**2 + var).sum(places)

  @property
  def std(self) -> float:
    """Standard deviation of samples of the posteriors."""
    mean, square = np.sum(self.total) / self.n, np.sum(self.square) / self.n
    return float(np.sqrt(square - mean**2))

  @property
  def channels(self) -> tuple[np.ndarray, np.ndarray]:
    """(mean, std) [c] of samples of the posteriors, the variance unbiased."""
    n = self.n / np.size(self.total)
    mean = self.total / n
    square = np.maximum(self.square - n * mean**2, 0)  # of rounding
    return mean, np.sqrt(square / (n - 1))

  @property
  def dead(self) -> list[int]:
    """Channels that are the same everywhere, or not finite."""
    rms = np.sqrt(self.square * np.size(self.total) / self.n)
    alive = self.channels[1] > 1e-6 * rms  # of rounding; nan is not either
    return np.flatnonzero(~alive).tolist()

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
