"""Blocks that differ in width and kind, and a mixer before them (MicroDiT).

Widths inside a block are shares of that of the stream, one per block, from
narrow to wide; every n-th block, but for the last of the backbone, has experts
that choose their tokens (`nn.expert_choice`) in place of its SwiGLU.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.nn import cross_dit
from jmim.nn import expert_choice
from jmim.nn.nets import micro_dit

TEXT_RATIO = 4.0  # hidden of the text's block / width


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone:
  """Sizes of the blocks, and of what is alike in the mixer's."""

  width: int = field.value(1024, "width of the stream", low=1)
  depth: int = field.value(28, "blocks", low=1)
  head: int = field.value(
    64,
    "width of an attention head; of widths that it does not divide heads are "
    "wider, and as many as fit",
    low=1,
  )
  qkv_ratios: tuple = field.value(
    (1.0,),
    "inner width of self-attention / width, of equal parts of the blocks; as "
    "many as there are blocks: of each",
  )
  mlp_ratios: tuple = field.value(
    (4.0,), "hidden width of feed-forward networks / width, in the same way"
  )
  multiple: int = field.value(256, "hidden widths are multiples of it", low=1)
  experts: int = field.value(8, "E, experts of a block that has any", low=1)
  capacity: float = field.value(
    2.0, "experts that a token has on average", above=0.0
  )
  every: int = field.value(
    2, "every so many blocks there are experts; more than depth: none", low=1
  )
  bias: bool = field.value(False, "linear maps of the blocks have biases")

  def ratios(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(of qkv, of MLPs), one per block."""
    spread = lambda given: tuple(
      float(x) for x in np.repeat(given, self.depth // len(given))
    )
    return spread(self.qkv_ratios), spread(self.mlp_ratios)

  def chooses(self, i: int) -> bool:
    """Whether block i has experts."""
    return (i + 1) % self.every == 0

  def layer(
    self, width: int, qkv: float, mlp: float, *, chooses: bool, index: int
  ) -> micro_dit.Layer:
    """A block.

    Args:
      width: of the stream.
      qkv: ratio of self-attention.
      mlp: ratio of the feed-forward network.
      chooses: it has experts.
      index: number of the block; what it writes starts the smaller for it.
    """
    hidden = cross_dit.hidden_width(width, mlp, self.multiple, not chooses)
    return micro_dit.Layer(
      inner=cross_dit.inner_width(width, qkv, self.head),
      hidden=hidden,
      experts=self.experts if chooses else 0,
      std=0.02 / (2 * (index + 1)) ** 0.5,
    )

  @property
  def layers(self) -> tuple[micro_dit.Layer, ...]:
    """Of the backbone."""
    return tuple(
      self.layer(
        self.width,
        qkv,
        mlp,
        chooses=self.chooses(i) and i < self.depth - 1,
        index=i,
      )
      for i, (qkv, mlp) in enumerate(zip(*self.ratios(), strict=True))
    )

  @property
  def text_hidden(self) -> int:
    """Hidden width of the text's block."""
    return cross_dit.hidden_width(self.width, TEXT_RATIO, self.multiple)

  def check(
    self, tokens: int, kept: int, mixer: "Mixer", key: str = ""
  ) -> None:
    """Raises ValueError where the blocks cannot be built.

    Args:
      tokens: of an image.
      kept: of them, that the backbone sees in training.
      mixer: before it.
      key: of the part that holds both, with a dot at its end, for messages.
    """
    ours, head = f"{key}backbone", self.head
    widths = {ours: self.width, f"{key}mixer": mixer.width}
    for name, width in widths.items():
      heads = width // head
      if width and (not heads or width % heads):
        raise ValueError(
          f"{name}.width {width} is not {heads} equal heads of at least "
          f"{ours}.head {head}"
        )
    if self.width % 4:
      raise ValueError(
        f"{ours}.width {self.width} does not divide by 4 (sin-cos table)"
      )
    for name in ("qkv_ratios", "mlp_ratios"):
      given = getattr(self, name)
      if not given or self.depth % len(given) or min(given) <= 0:
        raise ValueError(
          f"{ours}.{name} {given}: shares above 0, one of each of {ours}.depth "
          f"{self.depth} blocks, or of parts that are equal"
        )
    for present, layers in (
      (kept, self.layers),
      (tokens, mixer.layers(self)),
    ):
      if any(layer.experts for layer in layers):
        _check_places(present, self.experts, self.capacity, ours)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixer:
  """Light blocks on all patches, before some are removed."""

  depth: int = field.value(6, "blocks; 0: there is no mixer", low=0)
  width: int = field.value(
    0, "width of its stream; 0: that of the backbone, without maps", low=0
  )
  maps: bool = field.value(
    False, "maps to its width and back also of a mixer without blocks"
  )
  qkv_ratio: float = field.value(
    1.0, "inner width of self-attention / width", above=0.0
  )
  mlp_ratio: float = field.value(
    4.0, "hidden width of feed-forward networks / width", above=0.0
  )

  def layers(self, backbone: Backbone) -> tuple[micro_dit.Layer, ...]:
    """Its blocks, which start as the last of the backbone does."""
    return tuple(
      backbone.layer(
        self.width or backbone.width,
        self.qkv_ratio,
        self.mlp_ratio,
        chooses=backbone.chooses(i) and i > 0,
        index=backbone.depth - 1,
      )
      for i in range(self.depth)
    )


def _check_places(tokens, experts, capacity, key):
  try:
    if not expert_choice.places(tokens, experts, capacity):
      raise ValueError(f"they take 0 of {tokens} tokens each: at least 1")
  except ValueError as error:
    raise ValueError(f"{key}.experts, {key}.capacity: {error}") from error
