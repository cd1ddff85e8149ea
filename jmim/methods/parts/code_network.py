"""The transformer of VQ-Diffusion as a config section."""

import dataclasses

from jmim.core import field
from jmim.core import runtime
from jmim.methods.parts import code_condition
from jmim.methods.parts import image_codes
from jmim.nn import sizes
from jmim.nn.nets import vq_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeNetwork:
  """Size, MLP, and how a time and a position are embedded."""

  width: int = field.value(512, "width", low=1)
  depth: int = field.value(24, "blocks", low=1)
  heads: int = field.value(16, "attention heads", low=1)
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  mlp: str = field.value(
    "linear", "layers of the MLP", choices=vq_transformer.MLPS
  )
  act: str = field.value(
    "quick_gelu", "activation of the MLP", choices=("quick_gelu", "gelu")
  )
  timed: str = field.value(
    "learned", "how a time is embedded", choices=vq_transformer.EMBEDDINGS
  )
  tables: tuple[int, ...] = field.value(
    (), "(rows, columns) of the tables of positions; (): the grid of codes"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def size(self) -> sizes.Size:
    """Of the transformer."""
    return sizes.Size(
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )

  def build(
    self,
    codes: image_codes.ImageCodes,
    condition: code_condition.CodeCondition,
    times: int,
  ) -> vq_transformer.VQTransformer:
    """The network.

    Args:
      codes: how many, on which grid.
      condition: what it is told.
      times: of the diffusion.
    """
    block = dict(
      times=times,
      timed=self.timed,
      kind=condition.kind,
      classes=condition.classes,
      classed=condition.embed,
      class_norm=condition.norm,
      mixer=self.mlp,
      act=self.act,
    )
    return vq_transformer.VQTransformer(
      size=self.size,
      codes=codes.vocabulary,
      grid=codes.grid,
      tables=self.tables or codes.grid,
      block=tuple(block.items()),
      rt=self.rt,
    )

  def check(self, grid: tuple[int, int], embed: str) -> None:
    """Raises ValueError where it cannot be built.

    Args:
      grid: (h, w) in codes.
      embed: how a class is embedded.
    """
    sizes.check(self.size, side=1, patch=1, prefix="network.", table=False)
    (h, w), tables = grid, tuple(self.tables or grid)
    if len(tables) != 2 or min(tables) < 1 or tables[0] * tables[1] < h * w:
      raise ValueError(
        f"network.tables {tables}: (rows, columns) of at least {h} x {w} "
        "positions"
      )
    waves = "sinusoid" in (self.timed, embed)
    if waves and (self.width % 2 or self.width < 4):
      raise ValueError(
        f"network.width {self.width}: even, at least 4, for sines and cosines"
      )
