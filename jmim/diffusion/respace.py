"""Which of T times a sampler visits."""

import numpy as np


def spaced(steps: int, spec: str | int) -> np.ndarray:
  """Ascending times of IDDPM's "respacing" (also of DiT, DifFace).

  Args:
    steps: T.
    spec: "250": so many, evenly from 0 to T - 1, rounded half to even on a
      running sum; "10,20": so many in each of equal sections; "ddim50": the
      integer stride that gives exactly so many.

  Raises:
    ValueError: more than there are, or no such stride.
  """
  spec = str(spec)
  if spec.startswith("ddim"):
    wanted = int(spec.removeprefix("ddim"))
    for stride in range(1, steps):
      if len(range(0, steps, stride)) == wanted:
        return np.arange(0, steps, stride)
    raise ValueError(f"no integer stride gives {wanted} of {steps} times")
  counts = [int(c) for c in spec.split(",")]
  size, extra = divmod(steps, len(counts))
  kept, first = [], 0
  for i, count in enumerate(counts):
    length = size + (i < extra)
    if count > length:
      raise ValueError(f"{count} of {length} times in section {i}")
    stride = 1.0 if count <= 1 else (length - 1) / (count - 1)
    at = 0.0
    for _ in range(count):
      kept.append(first + round(at))
      at += stride
    first += length
  return np.asarray(kept)


def leading(steps: int, count: int) -> np.ndarray:
  """Descending i * (T // count): DDIM as in most libraries; ends at 0."""
  return np.arange(count)[::-1] * (steps // count)


def trailing(steps: int, count: int) -> np.ndarray:
  """Descending from T - 1 in steps of T / count (Lin et al. 2024)."""
  return np.round(np.arange(steps, 0, -steps / count)).astype(int)[:count] - 1


def countdown(steps: int, count: int) -> np.ndarray:
  """T - 1, T - 1 - s, ... and then 0 exactly once, s = T // count (UMD)."""
  stride = steps // count
  visited = np.arange(steps - 1, -1, -stride)
  return visited if visited[-1] == 0 else np.append(visited, 0)


def offset(steps: int, count: int) -> np.ndarray:
  """Descending i * (T // count) + 1 (LDM): neither 0 nor, mostly, T - 1.

  As many times as there are: more than `count` where it does not divide T.

  Raises:
    ValueError: the first would be T, which is no time.
  """
  found = np.arange(0, steps, steps // count) + 1
  if found[-1] >= steps:
    raise ValueError(
      f"spacing 'offset' with {count} steps visits time {found[-1]} of {steps}"
    )
  return found[::-1]


def leading_offset(steps: int, count: int) -> np.ndarray:
  """Descending i * (T // count) + 1, exactly `count`: Diffusers' DDIM of LDMs.

  That is `leading`, with `steps_offset=1`.

  Raises:
    ValueError: the first would be T, which is no time.
  """
  found = leading(steps, count) + 1
  if found[0] >= steps:
    raise ValueError(
      f"spacing 'leading_offset' with {count} steps visits time {found[0]} of "
      f"{steps}"
    )
  return found


def stride(steps: int, count: int) -> np.ndarray:
  """Descending multiples of the integer that gives exactly `count` of them.

  Raises:
    ValueError: no such integer.
  """
  return spaced(steps, f"ddim{count}")[::-1]


def quadratic(steps: int, count: int) -> np.ndarray:
  """Descending squares of evenly spaced roots, from 0.8 T to 0.

  Song et al. 2021:

  int(linspace(0, sqrt(0.8 T), count)^2); what is there twice, near 0, counts
  once, so that there may be fewer than `count`.
  """
  roots = np.linspace(0, np.sqrt(steps * 0.8), count)
  return np.unique((roots**2).astype(int))[::-1]


def rounded(steps: int, count: int) -> np.ndarray:
  """Descending int(linspace(0, T - 1, count + 1)): both ends (PDAE).

  One more than `count`; where that is more than there are, each once.
  """
  return np.unique(np.linspace(0, steps - 1, count + 1).astype(int))[::-1]


BY_NAME = {
  "leading": leading,
  "trailing": trailing,
  "countdown": countdown,
  "offset": offset,
  "leading_offset": leading_offset,
  "stride": stride,
  "quadratic": quadratic,
  "rounded": rounded,
}
SPACINGS = ("even", *BY_NAME)


def visited(name: str, steps: int, count: int) -> np.ndarray:
  """Descending times by the name of a spacing.

  Raises:
    ValueError: unknown name, or more times than there are.
  """
  if not 1 <= count <= steps:
    raise ValueError(f"{count} sampling steps of {steps} times")
  if name == "even":
    return spaced(steps, count)[::-1]
  if name not in BY_NAME:
    raise ValueError(f"spacing {name!r} is none of {', '.join(SPACINGS)}")
  return BY_NAME[name](steps, count)


def end(name: str) -> int | None:
  """The time that a path of this name leads to; None: clean data.

  Those of LDM, whose network is given one time late, end at the first time.
  """
  return 0 if name in ("offset", "leading_offset") else None


def linear_quadratic(points: int, bend: float = 0.05) -> np.ndarray:
  """Ascending [points] times u, 0 noise and 1 data: most are near noise.

  The first half is even up to `bend`, the second grows with the square:

      u = b i / (n/2 - 1),   u = b + (1 - b) (b + (1 - b) i / (n/2 - 1))^2

  i = 0 .. n/2 - 1 (LaVin-DiT, whose code has n = 20, 30 and 40).

  Args:
    points: n, even; a sampler makes a call less.
    bend: b.

  Raises:
    ValueError: an odd number of points, or fewer than 4.
  """
  if points % 2 or points < 4:
    raise ValueError(f"linear-quadratic times: even from 4 on, not {points}")
  even = np.linspace(0, 1, points // 2)
  square = bend + (1 - bend) * (bend + (1 - bend) * even) ** 2
  return np.concatenate([bend * even, square])
