"""Weights of ResShift (zsyOAOA/ResShift), whose UNet has Swin layers."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet
from jmim.methods.restore import resshift
from jmim.nn.nets import unet

# Fixed tables that a model computes.
COMPUTED = (r"relative_position_index$", r"attn_mask$")


def swin(theirs: str, ours: str, norm_in: bool) -> pieces.Table:
  """Swin layers on a map.

  Args:
    theirs: name of them.
    ours: name of them.
    norm_in: a norm follows the first convolution.
  """
  block, layers = f"{theirs}.blocks.{{i}}", f"{ours}/swin/layers"
  name = f"{block}.attn.relative_position_bias_table"
  first = f"{theirs}.patch_embed"
  return [
    *pieces.dense(f"{first}.proj", f"{ours}/proj_in", op=ops.CONV),
    *(pieces.norm(f"{first}.norm", f"{ours}/norm") if norm_in else []),
    *pieces.norm(f"{block}.norm1", f"{layers}/norm1"),
    *pieces.dense(f"{block}.attn.qkv", f"{layers}/windowed/qkv"),
    *pieces.dense(f"{block}.attn.proj", f"{layers}/windowed/proj"),
    table.Rule(theirs=name, ours=f"{layers}/relative/table"),
    *pieces.norm(f"{block}.norm2", f"{layers}/norm2"),
    *pieces.dense(f"{block}.mlp.fc1", f"{layers}/mlp/fc1", op=ops.POINT),
    *pieces.dense(f"{block}.mlp.fc2", f"{layers}/mlp/fc2", op=ops.POINT),
    *pieces.dense(
      f"{theirs}.patch_unembed.proj", f"{ours}/proj_out", op=ops.CONV
    ),
  ]


def network(method: resshift.ResShift) -> pieces.Table:
  """The UNet, and what halves a larger input; our names have no prefix."""
  norm_in = method.swin.norm_in
  rules = _unet.network(
    method.net().net, mixer=lambda theirs, ours, _: swin(theirs, ours, norm_in)
  )
  rules = table.placed(rules, "", "net/")
  halvings = (method.space.low[0] // method.size).bit_length() - 1
  for i in range(halvings):  # a convolution, SiLU, a convolution
    theirs = "feature_extractor.{}{}".format
    rules += pieces.dense(theirs(3 * i, ""), f"halved/conv{i}", op=ops.CONV)
    rules += pieces.dense(
      theirs(3 * i + 2, ".op"), f"halved/half{i}", op=ops.CONV
    )
  return rules


def objection(method: resshift.ResShift) -> str | None:
  """What their UNet cannot be."""
  dims: unet.Dims = method.dims
  if not dims.attend_first or not dims.scale_shift or dims.updown:
    return (
      "dims.attend_first and dims.scale_shift are True, and dims.updown False, "
      "there"
    )
  if not dims.resample_conv or dims.wide_stem:
    return "dims.resample_conv is True, and dims.wide_stem False, there"
  if dims.time_order != "cos_sin" or dims.time_inclusive:
    return "dims.time_order is cos_sin, and dims.time_inclusive False, there"
  if dims.norm_eps != 1e-5 or dims.late_pad:
    return "dims.norm_eps is 1e-5, and dims.late_pad False, there"
  return None


FAMILIES = {
  "resshift": family.Family(
    library="authors",
    methods=("restore.resshift",),
    table=family.main(network),
    containers=("state_dict.module.", "state_dict.", "module.", ""),
    ignored=COMPUTED,
    check=objection,
  )
}
