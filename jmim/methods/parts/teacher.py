"""A frozen ViT that teaches: its family, where its weights are, what is read.

What it computes is `nn.nets.teacher`; here are the keys of a config. A method
may hold several, each with its own normalisation and resizing.
"""

import dataclasses
from collections.abc import Sequence

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import resize
from jmim.nn import sizes
from jmim.nn.nets import teacher as nets

NONE = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
  """One teacher, or none."""

  family: str = field.value(
    "clip", "kind of network; none: no teacher", choices=(NONE, *nets.FAMILIES)
  )
  path: str = field.value("", "weights: an .npz, or the workdir of a run")
  sha256: str = field.value("", "hash of the .npz; empty: any")
  dims: sizes.Dims = field.part(sizes.Dims, "size and patch")
  layer: int = field.value(
    -1, "block whose output is read, from 0, or from -1, the last, downwards"
  )
  norm: bool = field.value(False, "the final norm follows that block")
  project: int = field.value(
    0, "width of the projection after the norm (CLIP); 0: none", low=0
  )
  table_size: int = field.value(
    0,
    "image side that learned positions are stored for, resized to the grid "
    "(DINOv2: 518) [pixels]; 0: that of the grid",
    low=0,
  )
  mean: tuple = field.value(
    (), "mean of its normalisation; (): CLIP's of a CLIP, else the student's"
  )
  std: tuple = field.value((), "std of its normalisation; (): as mean")
  foreign: bool = field.value(
    False, "show it images normalised otherwise than in its training"
  )
  resize: str = field.value(
    "bicubic", "how images are resized", choices=tuple(resize.MATRICES)
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def exists(self) -> bool:
    """Whether there is one."""
    return self.family != NONE

  def net(
    self,
    grid: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
  ) -> nets.Teacher:
    """The network on the grid of a student.

    Args:
      grid: (h, w) in patches.
      mean: per channel, which the student's images are normalised with.
      std: per channel, which the student's images are normalised with.
    """
    table = self.dims.grid(self.table_size) if self.table_size else None
    return nets.Teacher(
      family=self.family,
      dims=self.dims,
      grid=grid,
      mean=tuple(mean),
      std=tuple(std),
      rt=self.rt,
      own_mean=tuple(self.mean),
      own_std=tuple(self.std),
      resize=self.resize,
      table_grid=table,
      final_norm=self.norm,
      project=self.project,
    )

  def const(self, net: nets.Teacher, key: str) -> method.Const:
    """Where the parameters of `net` come from.

    A run is refused that has other heads, which no shape tells, or that was
    trained on images normalised otherwise, unless that is meant (`foreign`).

    Args:
      net: as `net` makes it.
      key: of this part in the config, for messages ("method.teacher").
    """
    images = {} if self.foreign else net.agrees(key)
    return method.Const(
      self.path,
      net.init,
      self.sha256,
      agrees=self.dims.agrees(f"{key}.dims") | images,
      implied=sizes.heads,
      key=f"{key}.path",
      images=not self.foreign,
    )

  def check(self, grid: tuple[int, int], key: str = "teacher") -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      grid: (h, w) in patches.
      key: of this part in the method, for messages.
    """
    if not self.exists:
      return
    self.dims.check(grid[0] * self.dims.patch, prefix=f"{key}.dims.")
    depth = self.dims.size.depth
    if not -depth <= self.layer < depth:
      raise ValueError(f"{key}.layer: {self.layer} of {depth} blocks")
    if self.project and not self.norm:
      raise ValueError(f"{key}.project follows the norm: set {key}.norm=True")
    if self.table_size and self.family == "mae":
      raise ValueError(f"{key}.table_size: positions of an MAE are not learned")
    if self.table_size % self.dims.patch:
      raise ValueError(
        f"{key}.table_size {self.table_size} is no multiple of the patch, "
        f"{self.dims.patch}"
      )
    for name in ("mean", "std"):
      if len(getattr(self, name)) not in (0, 3):
        raise ValueError(f"{key}.{name}: one number per channel, 3, or ()")
