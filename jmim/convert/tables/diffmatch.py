"""Weights of DiffMatch (KU-CVLAB/DiffMatch), of either stage.

Both are UNets of improved-diffusion; the names are those of the golden files.
"""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert.tables import _unet as unets
from jmim.methods.dense import diffmatch


def network(method: diffmatch.DiffMatch) -> pieces.Table:
  """The UNet."""
  return unets.network(method.matcher.net)


def _objection(method: diffmatch.DiffMatch) -> str | None:
  dims = method.matcher.dims
  if dims.level_heads or dims.level_blocks:
    return (
      "all levels have as many heads and blocks there (dims.level_heads, "
      "dims.level_blocks)"
    )
  if dims.updown or dims.wide_stem:
    return "dims.updown and dims.wide_stem are False there"
  if dims.time_width not in (0, 4 * dims.width):
    return "dims.time_width is 4 width there"
  if dims.time_waves not in (0, dims.width):
    return "dims.time_waves is width there"
  return unets.objection(dims)


FAMILIES = {
  "diffmatch": family.Family(
    library="authors",
    methods=("dense.diffmatch", "dense.diffmatch_fine"),
    table=family.main(network),
    check=_objection,
  )
}
