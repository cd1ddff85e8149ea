"""The UNet of Stable Diffusion 1 and 2 as Diffusers has it: `latent.ldm`.

Its context are the features of a text, stored with the examples: the task
"context". How it is noised is not in the file, nor in its config.json. That of
2 has linear maps where that of 1 has convolutions (`diffusers_unet2`), and in
its larger form predicts v.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet_layers as layers
from jmim.methods.latent import ldm
from jmim.nn.nets import unet

# Stable Diffusion's, which the weights mean whatever a file says.
NOISE = dict(schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
PLAIN, CROSS = "{}Block2D", "CrossAttn{}Block2D"

# The first and last map of a transformer are convolutions, or linear maps: both
# are read, and either is written.
_read = lambda x: x.reshape(x.shape[:2]).T
POINT = ops.Op(_read, ops.POINT.to_theirs)
LINEAR = ops.Op(_read, ops.LINEAR.to_theirs)


def res(theirs: str, ours: str, skip: bool) -> pieces.Table:
  """A residual block; `skip`: with a convolution beside it."""
  rules: pieces.Table = []
  for i in (1, 2):
    rules += pieces.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}")
    rules += pieces.dense(f"{theirs}.conv{i}", f"{ours}/conv{i}", op=ops.CONV)
  rules += pieces.dense(f"{theirs}.time_emb_proj", f"{ours}/time")
  if skip:
    name = f"{theirs}.conv_shortcut"
    rules += pieces.dense(name, f"{ours}/skip", op=ops.CONV)
  return rules


def transformer(
  theirs: str, ours: str, depth: int, linear: bool
) -> pieces.Table:
  """Transformer2DModel.

  Args:
    theirs: name of the layer.
    ours: name of the layer.
    depth: blocks.
    linear: how its first and last map are written, see `network`.
  """
  rules = pieces.norm(f"{theirs}.norm", f"{ours}/norm")
  for name in ("proj_in", "proj_out"):
    op = LINEAR if linear else POINT
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op=op)
  for i in range(depth):
    block = f"{theirs}.transformer_blocks.{i}."
    rules += layers.block(block, f"{ours}/", f"_{i}")
  return rules


def network(net: unet.UNet, linear: bool = False) -> pieces.Table:
  """The whole UNet; our names without a prefix.

  Args:
    net: the network.
    linear: the maps around transformers are written as linear ones, not as
      convolutions.
  """
  rules = pieces.dense("time_embedding.linear_1", "time_embed/fc1")
  rules += pieces.dense("time_embedding.linear_2", "time_embed/fc2")
  rules += pieces.dense("conv_in", "conv_in", op=ops.CONV)
  widths = [times * net.width for times in net.multipliers]
  skips, width = [net.stem], net.stem
  for level, new in enumerate(widths):
    for i in range(net.blocks_at[level]):
      more = dict(i=i, skip=width != new, linear=linear)
      rules += _stage(net, "down", level, **more)
      width = new
      skips.append(width)
    if level + 1 < len(widths):
      there = f"down_blocks.{level}.downsamplers.0.conv"
      rules += pieces.dense(there, f"down{level}_conv", op=ops.CONV)
      skips.append(width)
  for i in (0, 1):
    rules += res(f"mid_block.resnets.{i}", f"middle_{i}", False)
  middle = ("mid_block.attentions.0", "middle_attention")
  rules += transformer(*middle, net.transformer, linear)
  for level, new in reversed(list(enumerate(widths))):
    for i in range(net.blocks_at[level] + 1):
      skip = width + skips.pop() != new
      more = dict(i=i, skip=skip, linear=linear)
      rules += _stage(net, "up", level, **more)
      width = new
    if level:
      there = f"up_blocks.{len(widths) - 1 - level}.upsamplers.0.conv"
      rules += pieces.dense(there, f"up{level}_conv", op=ops.CONV)
  rules += pieces.norm("conv_norm_out", "norm_out")
  return rules + pieces.dense("conv_out", "conv_out", op=ops.CONV)


def _stage(
  net: unet.UNet, side: str, level: int, *, i: int, skip: bool, linear: bool
) -> pieces.Table:
  """Residual block i of a level and, at some, a transformer."""
  at = level if side == "down" else len(net.multipliers) - 1 - level
  theirs, ours = f"{side}_blocks.{at}", f"{side}{level}_{i}"
  rules = res(f"{theirs}.resnets.{i}", ours, skip)
  if net.attends(level, i):
    there = f"{theirs}.attentions.{i}"
    places = (there, f"{ours}_attention")
    rules += transformer(*places, net.transformer, linear)
  return rules


def full(method: ldm.LDM, linear: bool = False) -> pieces.Table:
  """The parameters of the only player that are the network's."""
  return table.placed(network(method.net(), linear), "", f"{family.MAIN}net/")


def objection(method: ldm.LDM) -> str | None:
  """What a UNet of Diffusers cannot be, or is not of here."""
  if not method.condition.transformer:
    return "it has a context (condition.transformer)"
  return objection_to(method.dims)


def objection_to(dims: unet.Dims) -> str | None:
  """What its network cannot be."""
  first = dims.width * dims.multipliers[0]
  if dims.updown or not dims.resample_conv or dims.up_heads:
    return "sides change in convolutions, and heads are as many up as down"
  if dims.attend_first:
    return "every block of a level has attention, or none"
  if dims.scale_shift:
    return "times are added"
  own = (dims.time_width or 4 * dims.width, dims.time_waves or dims.width)
  if (dims.width if not dims.wide_stem else first) != first or own != (
    4 * first,
    first,
  ):
    return "first convolution and times are those of the finest level's width"
  return None


def read(config: Mapping[str, Any], linear: bool = False) -> dict[str, Any]:
  """Diffusers' UNet2DConditionModel: `latent.ldm`."""
  channels = config["in_channels"]
  options.refuse(config, out_channels=channels, use_linear_projection=linear)
  return dict(
    size=options.side(config, "sample_size"),
    channels=channels,
    **dims(config),
    task="context",
    **told(config),
    first_stage="kl-f8",
    latent_scale=0.18215,
    **NOISE,
  )


def told(config: Mapping[str, Any]) -> dict[str, int]:
  """Width of the context, and the transformers' blocks: one for all levels.

  Raises:
    UserError: levels that differ.
  """
  known = {"transformer_layers_per_block": 1, **config}
  return dict(
    context=options.side(known, "cross_attention_dim"),
    transformer=options.side(known, "transformer_layers_per_block"),
  )


def dims(config: Mapping[str, Any]) -> dict[str, Any]:
  """Fields of `unet.Dims` of a UNet2DConditionModel.

  Raises:
    UserError: a network that is not here.
  """
  widths, kinds = config["block_out_channels"], config["down_block_types"]
  n, first = len(widths), widths[0]
  kind = lambda side, cross: (CROSS if cross else PLAIN).format(side)
  crossed = [k == kind("Down", True) for k in kinds]
  options.refuse(
    config,
    down_block_types=[kind("Down", c) for c in crossed],
    up_block_types=[kind("Up", c) for c in crossed[::-1]],
    mid_block_type="UNetMidBlock2DCrossAttn",
    act_fn="silu",
    norm_eps=1e-5,
    center_input_sample=False,
    flip_sin_to_cos=True,
    freq_shift=0,
    downsample_padding=1,
    mid_block_scale_factor=1,
    only_cross_attention=False,
    dual_cross_attention=False,
    class_embed_type=None,
    num_class_embeds=None,
    addition_embed_type=None,
    encoder_hid_dim=None,
    resnet_time_scale_shift="default",
    conv_in_kernel=3,
    conv_out_kernel=3,
  )
  # What is called the width of a head in these files is their number.
  heads = config.get("num_attention_heads") or config["attention_head_dim"]
  counts = heads if isinstance(heads, list | tuple) else [heads] * n
  every = [w // h for w, h in zip(widths, counts, strict=True)]
  one, same = len(set(counts)) == 1, len(set(every)) == 1
  blocks = config["layers_per_block"]
  several = isinstance(blocks, list | tuple)
  # Widths are multiples of what they have in common.
  unit = math.gcd(*widths)
  own_unit = dict(wide_stem=True, time_width=4 * first, time_waves=first)
  return dict(
    width=unit,
    multipliers=tuple(w // unit for w in widths),
    blocks=max(blocks) if several else blocks,
    level_blocks=tuple(blocks) if several else (),
    attend_at=tuple(2**i for i in range(n) if crossed[i]),
    heads=counts[0] if one or not same else 0,
    level_heads=() if one or same else tuple(counts),
    head_width=every[0],
    norm_groups=config.get("norm_num_groups", 32),
    dropout=0.0,
    **(own_unit if unit != first else {}),
  )


def write(method: ldm.LDM, linear: bool = False) -> dict[str, Any]:
  """The inverse of `read`."""
  net, context = method.net(), method.condition.context
  return {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.30.0",
    "sample_size": method.size,
    "in_channels": method.channels,
    **write_net(net),
    "cross_attention_dim": context,
    "use_linear_projection": linear,
  }


def write_net(net: unet.UNet) -> dict[str, Any]:
  """The inverse of `dims`, and what the network is otherwise."""
  levels = range(len(net.multipliers))
  crossed = [2**i in net.attend_at for i in levels]
  kinds = lambda side, cs: [(CROSS if c else PLAIN).format(side) for c in cs]
  blocks = net.blocks_at
  return {
    "out_channels": net.out,
    "block_out_channels": [net.width * times for times in net.multipliers],
    "layers_per_block": blocks[0] if len(set(blocks)) == 1 else list(blocks),
    "down_block_types": kinds("Down", crossed),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": kinds("Up", crossed[::-1]),
    "attention_head_dim": [net.heads_at(i) for i in levels],
    "transformer_layers_per_block": net.transformer,
    "norm_num_groups": net.groups,
    "norm_eps": 1e-5,
    "act_fn": "silu",
    "flip_sin_to_cos": True,
    "freq_shift": 0,
  }


FIRST = family.Family(
  library="hf",
  methods=("latent.ldm",),
  table=full,
  containers=("",),
  unsupported=("^extra/scale$", f"^{family.MAIN}(log_var|condition/)"),
  check=objection,
  read_config=read,
  write_config=write,
  model_types=("UNet2DConditionModel",),
  file="diffusion_pytorch_model.safetensors",
)
FAMILIES = {
  "diffusers_unet": FIRST,
  "diffusers_unet2": dataclasses.replace(
    FIRST,
    table=functools.partial(full, linear=True),
    read_config=functools.partial(read, linear=True),
    write_config=functools.partial(write, linear=True),
    model_types=(),  # it has to be named: they are called alike
    priority=-1,
  ),
}
