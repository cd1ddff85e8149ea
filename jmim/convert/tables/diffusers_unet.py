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
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _diffusers_scheduler
from jmim.convert.tables import _diffusers_unet as unets
from jmim.methods.latent import ldm
from jmim.nn.nets import unet

# Stable Diffusion's, which the weights mean whatever a file says.
NOISE = dict(schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
PLAIN, CROSS = "{}Block2D", "CrossAttn{}Block2D"


def full(method: ldm.LDM, linear: bool = False) -> pieces.Table:
  """The parameters of the only player that are the network's."""
  rules = unets.network(method.net(), linear)
  return table.placed(rules, "", f"{family.MAIN}net/")


def objection(method: ldm.LDM) -> str | None:
  """What a UNet of Diffusers cannot be, or is not of here."""
  if not method.condition.transformer:
    return "it has a context (condition.transformer)"
  return objection_to(method.dims)


def objection_to(dims: unet.Dims) -> str | None:
  """What its network cannot be."""
  if not isinstance(dims, unet.Dims):
    return "the network is a UNet there (dims.type)"
  if dims.updown or not dims.resample_conv or dims.up_heads:
    return "sides change in convolutions, and heads are as many up as down"
  if dims.attend_first:
    return "every block of a level has attention, or none"
  if dims.scale_shift:
    return "times are added"
  if dims.time_order != "cos_sin" or dims.time_inclusive or dims.late_pad:
    return "dims.time_order, time_inclusive and late_pad are the defaults"
  if dims.norm_eps != 1e-5:
    return f"dims.norm_eps={dims.norm_eps}, which is 1e-5 there"
  return objection_to_widths(dims)


def objection_to_widths(dims: unet.Dims) -> str | None:
  """Why stem and times are none of a UNet of Diffusers; None: they are."""
  first = dims.width * dims.multipliers[0]
  own = (dims.time_width or 4 * dims.width, dims.time_waves or dims.width)
  stem = first if dims.wide_stem else dims.width
  if (stem, *own) != (first, 4 * first, first):
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
  n = len(widths)
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
  return dict(
    **widths_of(config),
    blocks=max(blocks) if several else blocks,
    level_blocks=tuple(blocks) if several else (),
    attend_at=tuple(2**i for i in range(n) if crossed[i]),
    heads=counts[0] if one or not same else 0,
    level_heads=() if one or same else tuple(counts),
    head_width=every[0],
    norm_groups=config.get("norm_num_groups", 32),
    dropout=0.0,
  )


def widths_of(config: Mapping[str, Any]) -> dict[str, Any]:
  """Fields of `unet.Dims` about widths: multiples of their common factor."""
  widths = config["block_out_channels"]
  first, unit = widths[0], math.gcd(*widths)
  own_unit = dict(wide_stem=True, time_width=4 * first, time_waves=first)
  return dict(
    width=unit,
    multipliers=tuple(w // unit for w in widths),
    **(own_unit if unit != first else {}),
  )


def write(method: ldm.LDM, linear: bool = False) -> dict[str, Any]:
  """The inverse of `read`."""
  net, context = method.net(), method.condition.contexts.width
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


# The scale of latents that was measured, and what makes a context of a class.
BESIDE = ("^extra/scale$", f"^{family.MAIN}condition/")
FIRST = family.Family(
  library="hf",
  methods=("latent.ldm",),
  table=full,
  containers=("",),
  unsupported=(*BESIDE, f"^{family.MAIN}log_var"),
  beside=BESIDE,
  more=_diffusers_scheduler.write,
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
