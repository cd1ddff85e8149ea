"""Numbers of the branches of a DiMR, as a section of a config."""

import dataclasses

from jmim.core import field
from jmim.nn import dimr

KINDS = ("transformer", "convnext")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Branch:
  """One branch: its numbers, as of `Dims`, and the side of its map.

  `unfold` is the side of what it predicts at each place, 1 but in the last, see
  `Dims.unfolded`.
  """

  kind: str
  width: int
  hidden: int
  blocks: int
  heads: int
  kernel: int
  patch: int
  reduced: int
  out_kernel: int
  side: int
  unfold: int

  @property
  def out(self) -> int:
    """Side of its prediction."""
    return self.side * self.unfold

  @property
  def half(self) -> int:
    """Blocks before the one in the middle, and after it."""
    return self.blocks // 2

  @property
  def depth(self) -> int:
    """Blocks that there are: 2 floor(blocks / 2) + 1."""
    return 2 * self.half + 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Numbers of each branch, coarse to fine, and what all have in common."""

  kinds: tuple = field.value(
    KINDS, f"network of each branch: {' or '.join(KINDS)}"
  )
  widths: tuple = field.value((960, 480), "channels of each branch")
  hidden: tuple = field.value((), "width inside the MLPs; (): twice the widths")
  blocks: tuple = field.value(
    (39, 20), "blocks of each branch; an even number has one more"
  )
  heads: tuple = field.value((16, 1), "attention heads of each transformer")
  kernels: tuple = field.value((1, 7), "side of a ConvNeXt's convolutions")
  patches: tuple = field.value((2, 1), "side of a token of each branch")
  reduced: tuple = field.value(
    (), "factor by which a branch sees the image smaller; (): none does"
  )
  out_kernels: tuple = field.value(
    (), "side of each last convolution; (): 3 for all"
  )
  loss_weights: tuple = field.value(
    (), "factors of the branches' losses; (): their shares of the places"
  )
  norm: str = field.value(
    "td_rms", "norm of blocks, see `nn.dimr`", choices=tuple(dimr.NORMS)
  )
  rotary: bool = field.value(
    False, "learned axial rotary positions in transformers, for a table"
  )
  unfolded: bool = field.value(
    True,
    "the last branch predicts every pixel, whatever its patches; False: at the "
    "side of its map as the others do, and where that is less nothing samples",
  )
  detached: bool = field.value(
    False, "a branch learns by its own prediction only"
  )

  def branches(self, side: int) -> tuple[Branch, ...]:
    """Every branch, coarse to fine.

    Args:
      side: of what is diffused.

    Raises:
      ValueError: fields that do not go together.
    """
    each = self._each()
    made = []
    for i, values in enumerate(zip(*each.values(), strict=True)):
      given = dict(zip(each, values, strict=True))
      factor = given["patch"] * given["reduced"]
      if side % factor:
        raise ValueError(
          f"size {side} does not divide by dims.patches x dims.reduced = "
          f"{factor} of branch {i}"
        )
      last = i == len(self.widths) - 1
      unfold = factor if last and self.unfolded else 1
      made.append(Branch(side=side // factor, unfold=unfold, **given))
      _check(i, made[-1], self.rotary)
    for i, (coarse, fine) in enumerate(zip(made[:-1], made[1:], strict=True)):
      if fine.side % coarse.side:
        raise ValueError(
          f"dims.patches x dims.reduced: the map of branch {i + 1} has side "
          f"{fine.side}, no multiple of {coarse.side}, that of the one before"
        )
    return tuple(made)

  def full(self, side: int) -> bool:
    """Whether the last branch predicts every pixel.

    Args:
      side: of what is diffused.
    """
    return self.branches(side)[-1].out == side

  def check_full(self, side: int) -> None:
    """Raises ValueError unless `full`.

    Args:
      side: of what is diffused.
    """
    if not self.full(side):
      raise ValueError(
        "dims.unfolded=False, and the last branch of dims.patches x "
        f"dims.reduced has a smaller side than {side}: it gives no noise to "
        "sample with"
      )

  def weights(self, side: int) -> tuple[float, ...]:
    """Factors of the branches' losses: 1 / r^2, or others.

    Args:
      side: of what is diffused; r is that over the side of a prediction.

    Raises:
      ValueError: as of `branches`, or not as many as there are branches.
    """
    found = tuple((b.out / side) ** 2 for b in self.branches(side))
    given = self.loss_weights or found
    if len(given) != len(found):
      raise ValueError(
        f"dims.loss_weights {given}: one for each of {len(found)} branches"
      )
    return given

  def _each(self) -> dict[str, tuple]:
    """Field of `Branch` -> one value of each branch."""
    n = len(self.widths)
    each = {
      "kind": self.kinds,
      "width": self.widths,
      "hidden": self.hidden or tuple(2 * w for w in self.widths),
      "blocks": self.blocks,
      "heads": self.heads,
      "kernel": self.kernels,
      "patch": self.patches,
      "reduced": self.reduced or (1,) * n,
      "out_kernel": self.out_kernels or (3,) * n,
    }
    counts = {name: len(values) for name, values in each.items()}
    if n == 0 or set(counts.values()) != {n}:
      raise ValueError(
        "dims: widths, kinds, blocks, heads, kernels and patches have one "
        f"entry per branch, at least one; hidden, reduced and out_kernels that "
        f"or none; these have {counts}"
      )
    return each


def _check(i: int, branch: Branch, rotary: bool) -> None:
  """Raises ValueError where a branch cannot be built."""
  if branch.kind not in KINDS:
    raise ValueError(f"dims.kinds[{i}] {branch.kind!r}: {' or '.join(KINDS)}")
  numbers = dataclasses.asdict(branch)
  del numbers["kind"]
  if min(numbers.values()) < 1:
    raise ValueError(f"dims: numbers below 1 in branch {i}, {numbers}")
  for name in ("kernel", "out_kernel"):
    if numbers[name] % 2 == 0:
      raise ValueError(f"dims.{name}s[{i}] {numbers[name]}: sides are odd")
  if branch.kind == "convnext":
    return
  head, rest = divmod(branch.width, branch.heads)
  if rest:
    raise ValueError(
      f"dims.widths[{i}] {branch.width} does not divide by dims.heads[{i}] "
      f"{branch.heads}"
    )
  if rotary and head % 4:
    raise ValueError(
      f"dims.rotary: heads of branch {i} are {head} wide, no multiple of 4"
    )
