"""Lists of how many tokens each block of a ViT keeps, and their order."""

import dataclasses
from collections.abc import Sequence

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import token_counts
from jmim.nn import sizes

Lists = tuple[Sequence[int], Sequence[int]]
# Published lists, tokens kept after pruning and after merging (DiffRate's
# repository): of the class-token head of DeiT, and of MAE's fine-tuned ViT.
PUBLISHED = {
  "deit_s_2.9g": (
    (197, 196, 190, 168, 150, 139, 129, 117, 99, 78, 58, 3),
    (197, 194, 176, 156, 141, 133, 121, 107, 88, 64, 56, 3),
  ),
  "mae_b_11.5g": (
    (197, 196, 182, 172, 162, 147, 131, 109, 101, 94, 70, 49),
    (197, 192, 178, 164, 150, 133, 115, 101, 96, 82, 49, 49),
  ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenLists:
  """Which tokens go, where it is not learned."""

  prune: tuple = field.value((), "tokens kept after pruning; (): learned")
  merge: tuple = field.value((), "tokens kept after merging; (): learned")
  published: str = field.value(
    "",
    "list of DiffRate's paper in place of prune and merge",
    choices=("", *PUBLISHED),
  )
  order: str = field.value(
    "importance", "order of the tokens", choices=("importance", "random")
  )

  @property
  def kept(self) -> Lists | None:
    """Tokens kept after pruning and after merging; None: learned."""
    if self.published:
      return PUBLISHED[self.published]
    own = tuple(self.prune), tuple(self.merge)
    return own if any(own) else None

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, int, int]
  ) -> method.Draws:
    """order [b, blocks, n], where it is random."""
    if self.order != "random":
      return {}
    return {"order": jax.random.uniform(keys("order"), shape)}

  def check(self, blocks: int, tokens: int, least: int = 1) -> None:
    """Raises ValueError for lists that cannot be followed.

    Args:
      blocks: of the network.
      tokens: of an image, with the class token.
      least: tokens that must stay.
    """
    if self.published and (self.prune or self.merge):
      raise ValueError(f"published {self.published!r} with prune or merge")
    kept = self.kept
    if kept is None:
      return
    for name, own in zip(token_counts.KINDS, kept, strict=True):
      if len(own) != blocks or not all(isinstance(k, int) for k in own):
        raise ValueError(
          f"{name} {own}: not one whole number for each of {blocks} blocks"
        )
      if not all(least <= k <= tokens for k in own):
        raise ValueError(f"{name} {own}: not all in {least} .. {tokens} tokens")
    alive = tokens
    for i, (prune, merge) in enumerate(zip(*kept, strict=True)):
      alive = min(alive, prune)
      if merge == 1 < alive:
        raise ValueError(
          f"merge {kept[1]}: block {i} would keep cls only, into which nothing "
          "is merged; let prune be 1 there"
        )
      alive = min(alive, merge)


def uniform(
  target: float, size: sizes.Size, *, patch: int, patches: int, classes: int
) -> Sequence[int]:
  """Tokens kept by each block but the first, of which a fixed share goes.

  Args:
    target: multiply-adds; the list is the longest that costs no more.
    size: of the transformer.
    patch: side [pixels].
    patches: n.
    classes: of the head.

  Raises:
    ValueError: even one patch per block costs more.
  """
  steps = 8 * patches  # of the share: finer than a token
  for step in range(steps, -1, -1):
    share = step / steps
    kept = [1 + max(1, round(patches * share**i)) for i in range(size.depth)]
    cost = token_counts.flops(
      (kept, kept), size, patch=patch, patches=patches, classes=classes
    )
    if cost <= target:
      return tuple(kept)
  raise ValueError(f"target {target:g}: one patch per block costs {cost:g}")
