"""MaskDiT as trained beside UMD: diffusion with half of the patches hidden.

Zheng, Nie, Vahdat, Anandkumar, 2023 (arXiv 2306.09305), in the form of UMD's
code (philippe-eecs/small-vision@3d4555b), where it is UMD with r = 0, m1 = 0.5:

    x_t  = a_k x + s_k eps
    M    = 1 for half of the patches
    loss = (mean (1 - M) (e - eps)^2 / mean (1 - M)
            + mean M (x0 - x)^2 / mean M) / 2

The encoder sees half of the tokens, so a step costs little more than half of
an unmasked one. Differs from the MaskDiT paper: no EDM preconditioning; the
hidden patches are scored on the data, not on the noise.

Reference (UMD's table, ImageNet 64px B/4): 100-shot probe 26.3, FID 19.0.

    python -m jmim.main --config=configs/umd_imagenet64.py:kind=maskdit ...
"""

import dataclasses

from jmim.core import field
from jmim.methods.diffusion import umd


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskDiT(umd.UMD):
  """UMD without clean rows, half of the patches hidden."""

  clean_share: float = field.redefault(umd.UMD, "clean_share", 0.0)
  noised_mask: float = field.redefault(umd.UMD, "noised_mask", 0.5)
  probe_time: int = field.redefault(umd.UMD, "probe_time", 51)

  @classmethod
  def tiny(cls) -> "MaskDiT":
    """That of UMD."""
    return dataclasses.replace(super().tiny(), probe_time=3)
