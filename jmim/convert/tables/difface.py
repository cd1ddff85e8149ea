"""Weights of DifFace (zsyOAOA/DifFace): its diffusion model, and SwinIR.

The names of the UNet are those of the golden files, which are ADM's; blocks may
differ per level. Those of SwinIR (JingyunLiang/SwinIR) are from memory, with
DifFace's unshuffling before the first convolution, which is then the second
layer of two.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.convert.tables import swin
from jmim.methods.restore import difface
from jmim.methods.restore import restorer
from jmim.nn.nets import swinir as nets

CONTAINERS = ("params_ema.", "params.", *family.CONTAINERS)


def diffusion(method: difface.DifFace) -> pieces.Table:
  """The UNet."""
  return unets.network(method.net())


def _objection(method: difface.DifFace) -> str | None:
  dims = method.dims
  if dims.level_heads or dims.up_heads:
    return "all levels have as many heads (dims.level_heads, dims.up_heads)"
  if dims.time_width not in (0, 4 * dims.width):
    return "dims.time_width is 4 width there"
  if dims.time_waves not in (0, dims.width):
    return "dims.time_waves is width there"
  return unets.objection(dims)


def swinir(net: nets.SwinIR) -> pieces.Table:
  """The restorer; our names without a prefix."""
  conv = lambda theirs, ours: pieces.dense(theirs, ours, op=ops.CONV)
  rules = conv(f"conv_first{'.1' * (net.unshuffle > 1)}", "conv_first")
  rules += pieces.norm("patch_embed.norm", "norm_in")
  for i in range(len(net.depths)):
    theirs = f"layers.{i}.residual_group.blocks.{{i}}"
    ours = f"group{i}/swin/layers/block"
    rules += pieces.block(theirs, ours)
    name = f"{theirs}.attn.relative_position_bias_table"
    rules.append(table.Rule(theirs=name, ours=f"{ours}/relative/table"))
    rules += conv(f"layers.{i}.conv", f"group{i}/conv")
  rules += pieces.norm("norm", "norm")
  rules += conv("conv_after_body", "conv_body")
  rules += conv("conv_before_upsample.0", "conv_tail")
  for i in range(nets.doublings(net.unshuffle * net.times)):
    rules += conv(f"conv_up{i + 1}", f"conv_up{i}")
  return rules + conv("conv_hr", "conv_fine") + conv("conv_last", "conv_out")


def _other(method: restorer.Restorer) -> str | None:
  if not isinstance(method.net, nets.Dims):
    return "net.type is 'swinir' there"
  if method.holes.boxes:
    return f"holes.boxes={method.holes.boxes}: there is no channel for a mask"
  return None


FAMILIES = {
  "difface": family.Family(
    library="authors",
    methods=("restore.difface",),
    table=family.main(diffusion),
    containers=CONTAINERS,
    check=_objection,
  ),
  "swinir": family.Family(
    library="authors",
    methods=("restore.restorer",),
    table=family.main(lambda method: swinir(method.body)),
    containers=CONTAINERS,
    ignored=swin.COMPUTED,
    check=_other,
  ),
}
