"""Which example goes to which slot of which step, computed, not stored.

The stream of training examples is one endless line of positions. Position `p`
is the example `permutation(n, seed, epoch, p % n)` of epoch `p // n`; step `s`
of a run with global batch `b` reads the positions `s * b ... s * b + b - 1`.
So no example is dropped or repeated within an epoch, batches may straddle two
epochs, and the whole state of the stream is the step.

The permutation is a keyed Feistel network: it needs no memory, so 10^9
examples cost as much as ten, and any host can compute any slot of any step.
"""

import dataclasses

import numpy as np

from jmim.core import errors

# Enough that even 2-bit domains (n <= 4, one bit per half) come out uniform
# over all n! orders; larger ones need fewer rounds, but time is negligible.
_ROUNDS = 12
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
  """The splitmix64 finaliser: a bijective hash of uint64, wrapping on purpose.

  Args:
    x: uint64 array, at least one-dimensional (numpy warns when scalars wrap).

  Returns:
    uint64 array of the same shape.
  """
  x = x + _GOLDEN
  x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return x ^ (x >> np.uint64(31))


def _feistel(x: np.ndarray, half: int, key: np.ndarray) -> np.ndarray:
  """A bijection of [0, 4**half) chosen by `key`, elementwise.

  Args:
    x: uint64 [m], values below 4**half.
    half: bits of each half, at least 1.
    key: uint64 [m], one key per element.

  Returns:
    uint64 [m], values below 4**half.
  """
  bits, mask = np.uint64(half), np.uint64(2**half - 1)
  left, right = x >> bits, x & mask
  for _ in range(_ROUNDS):
    key = _mix(key)
    # The high bits of the hash: the low ones of a product mix worst.
    hashed = _mix(right ^ key) >> np.uint64(64 - half)
    left, right = right, left ^ hashed
  return (left << bits) | right


def permutation(
  n: int, seed: int, epoch: int | np.ndarray, i: np.ndarray
) -> np.ndarray:
  """Element `i` of the random order of `n` examples in one epoch.

  Args:
    n: number of examples, in [1, 2**62].
    seed: any integer; taken modulo 2**64.
    epoch: non-negative integer, or an int64 array that broadcasts against `i`.
    i: int64 array of positions within the epoch, each in [0, n).

  Returns:
    int64 array of the broadcast shape: for fixed (n, seed, epoch) a bijection
    of [0, n).
  """
  i, epoch = np.broadcast_arrays(np.asarray(i), np.asarray(epoch))
  shape = i.shape
  x, epoch = i.ravel().astype(np.uint64), epoch.ravel().astype(np.uint64)
  assert 1 <= n <= 2**62 and (x < n).all(), (n, i)
  half = max(1, (int(n - 1).bit_length() + 1) // 2)
  seed_key = _mix(np.array([seed % 2**64], np.uint64))
  key = _mix(seed_key ^ _mix(epoch))
  x = _feistel(x, half, key)
  # Cycle walking: re-encrypt what fell outside [0, n). It ends, because the
  # cycle of a bijection returns to its start, which is inside; it ends soon,
  # because 4**half < 4n, so each pass keeps at least a quarter.
  out = np.flatnonzero(x >= n)
  while out.size:
    x[out] = _feistel(x[out], half, key[out])
    out = out[x[out] >= n]
  if n > 1:
    # Feistel networks with halves of two bits or more reach only even
    # permutations: of the 120 orders of n = 5 a chi-square test saw 60 too
    # often. Exchanging 0 and 1 for every other key evens that out.
    x = np.where(x < 2, x ^ (key >> np.uint64(63)), x)
  return x.astype(np.int64).reshape(shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
  """The endless order of a training stream.

  Attributes:
    n: number of examples of the source.
    batch: the global batch, over all hosts.
    seed: any integer.
    shuffle: False walks through the source from 0 to n - 1, over and over.
    repeat: slots in a row that hold the same example.
    drop: leave out the end of an epoch that does not fill a batch.
  """

  n: int
  batch: int
  seed: int
  shuffle: bool = True
  repeat: int = 1
  drop: bool = False

  def __post_init__(self):
    if self.n < 1:
      raise errors.UserError(
        f"a source with {self.n} examples",
        "at least one example",
        "choose another data set or split",
        "data.name",
      )
    if self.batch < 1:
      raise errors.UserError(
        f"batch = {self.batch}",
        "a global batch of at least 1",
        "set the total batch over all hosts",
        "data.batch",
      )
    if self.batch % self.repeat:
      raise errors.UserError(
        f"batch = {self.batch} with {self.repeat} samples of each example",
        f"a multiple of {self.repeat}",
        "change one of them",
        "data.repeat_samples",
      )
    if self.drop and self.n < self.batch // self.repeat:
      raise errors.UserError(
        f"{self.n} examples, less than a batch, with the remainder dropped",
        f"at least {self.batch // self.repeat} examples",
        'set data.remainder="keep", or lower data.batch',
        "data.remainder",
      )

  @property
  def epoch_examples(self) -> int:
    """Examples that one epoch hands out."""
    return self.n - self.n % (self.batch // self.repeat) * self.drop

  def slots(self, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Epoch and example of every slot of the global batch of `step`.

    Args:
      step: non-negative; the first step of a run is 0.

    Returns:
      (epoch, index), both int64 [batch]; index is in [0, n). Slots in which
      `repeats` is not 0 hold the example of the slot before.
    """
    assert step >= 0, step
    distinct = self.batch // self.repeat
    position = step * distinct + np.arange(distinct, dtype=np.int64)
    epoch, index = self.at(position)
    return np.repeat(epoch, self.repeat), np.repeat(index, self.repeat)

  def at(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(epoch, index) of int64 positions of the endless line of examples."""
    epoch, i = np.divmod(position, self.epoch_examples)
    if self.shuffle:
      i = permutation(self.n, self.seed, epoch, i)
    return epoch, i

  def repeats(self) -> np.ndarray:
    """Which sample of its example each slot holds: int64 [batch]."""
    return np.arange(self.batch) % self.repeat


# Slots of a mixture in which the weights hold exactly.
_BLOCK = 10_000


@dataclasses.dataclass(frozen=True)
class Mixture:
  """Several orders mixed by weight; the same interface as `Order`.

  Every 10,000 examples in a row hold each component exactly as often as its
  weight says, in a random order; each component runs through its own epochs.

  Attributes:
    parts: the orders, of equal batch and repeat.
    weights: positive, one per part; their scale does not matter.
    seed: of the choice between the parts.
  """

  parts: tuple[Order, ...]
  weights: tuple[float, ...]
  seed: int

  def __post_init__(self):
    if min(self.weights) <= 0 or min(self.quotas) < 1:
      raise errors.UserError(
        f"data.mixture with weights {self.weights}",
        f"positive weights, none below 1 / {_BLOCK} of their sum",
        "change or remove the smallest",
        "data.mixture",
      )

  @property
  def quotas(self) -> np.ndarray:
    """Examples of each part in a block; int64, they add up to it."""
    share = np.array(self.weights) / sum(self.weights)
    edges = np.rint(np.cumsum([0.0, *share]) * _BLOCK).astype(np.int64)
    return np.diff(edges)

  @property
  def epoch_examples(self) -> int:
    """Examples of all parts together: what one epoch is counted as."""
    return sum(part.epoch_examples for part in self.parts)

  def slots(self, step: int) -> tuple[np.ndarray, np.ndarray]:
    """As `Order.slots`; index counts through the parts one after another."""
    first = self.parts[0]
    distinct = first.batch // first.repeat
    block, i = np.divmod(
      step * distinct + np.arange(distinct, dtype=np.int64), _BLOCK
    )
    place = permutation(_BLOCK, self.seed, block, i)
    edges = np.cumsum([0, *self.quotas])
    chosen = np.searchsorted(edges, place, side="right") - 1
    nth = block * self.quotas[chosen] + place - edges[chosen]
    starts = np.cumsum([0, *(part.n for part in self.parts)])
    epoch, index = np.zeros_like(nth), np.zeros_like(nth)
    for k, part in enumerate(self.parts):
      mine = chosen == k
      epoch[mine], within = part.at(nth[mine])
      index[mine] = within + starts[k]
    return np.repeat(epoch, first.repeat), np.repeat(index, first.repeat)

  def repeats(self) -> np.ndarray:
    """As `Order.repeats`."""
    return self.parts[0].repeats()


def host_slice(batch: int, process_index: int, process_count: int) -> slice:
  """The slots of the global batch that one host reads.

  Args:
    batch: global batch.
    process_index: this host, in [0, process_count).
    process_count: number of hosts.

  Returns:
    A slice of the global batch; over all hosts they partition it in order.

  Raises:
    UserError: the batch does not divide evenly over the hosts.
  """
  assert 0 <= process_index < process_count, (process_index, process_count)
  if batch % process_count:
    raise errors.UserError(
      f"a global batch of {batch} on {process_count} hosts",
      f"a multiple of {process_count}",
      f"try {max(1, round(batch / process_count)) * process_count}",
      "data.batch",
    )
  local = batch // process_count
  return slice(process_index * local, (process_index + 1) * local)
