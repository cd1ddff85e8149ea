"""Weights of ADM and its relatives: `diffusion.ddpm`.

Improved DDPM (openai/improved-diffusion), ADM (openai/guided-diffusion), and
codes that took their UNet over as it is, names included (ILVR, P2 weighting).
Their options are flags on a command line; those of ADM say in words of
`method.dims`:

    num_channels           width           resblock_updown       updown
    channel_mult           multipliers     use_scale_shift_norm  scale_shift
    num_res_blocks         blocks          num_heads             heads
    attention_resolutions  attend_at: image side / resolution
    num_head_channels      head_width, with heads=0
    num_heads_upsample     up_heads (-1: 0)

`learn_sigma` is `noise.learn_variance` with `noise.variance="learned"`,
`class_cond` `labels.classes`; their table has no row for "no label", so labels
are never dropped. q, k and v are dealt out head by head, but for weights made
with `use_new_attention_order`: family `adm_new_order`, which has to be named.
"""

import functools

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.methods.diffusion import ddpm


def full(method: ddpm.DDPM, by_head: bool = True) -> pieces.Table:
  """The parameters of the only player."""
  rules = unets.network(method.net(), by_head, unets.LABELS)
  return table.placed(rules, "", family.MAIN)


def objection(method: ddpm.DDPM) -> str | None:
  """What their code cannot be."""
  dims, net = method.dims, method.net()
  if dims.level_blocks or dims.level_heads:
    return "all levels have as many blocks and heads (dims.level_*)"
  if net.embedded != 4 * dims.width or dims.time_waves not in (0, dims.width):
    return "dims.time_width is 4 width there, dims.time_waves width"
  if dims.norm_groups != 32:
    return f"dims.norm_groups={dims.norm_groups}, which is 32 there"
  if method.labels.classes and method.labels.drop:
    return (
      f"labels.drop={method.labels.drop}, which is 0 there: their table of "
      "labels has no row for none"
    )
  return unets.objection(dims)


ADM = family.Family(
  library="authors",
  methods=("diffusion.ddpm",),
  table=full,
  containers=("",),
  fixed={"prediction": "eps"},
  check=objection,
  priority=-1,  # below `pdae_host`, whose options are a part of these
)
FAMILIES = {
  "adm": ADM,
  "adm_new_order": family.Family(
    library="authors",
    methods=ADM.methods,
    table=functools.partial(full, by_head=False),
    containers=ADM.containers,
    fixed=ADM.fixed,
    check=objection,
    priority=-2,
  ),
}
