"""The unconditional UNet of Diffusers, UNet2DModel: `diffusion.ddpm`.

That of DDPM (google/ddpm-celebahq-256 and its kin: sine first, `freq_shift` 1,
`norm_eps` 1e-6, padding behind alone) and that of ADM (sides change in residual
blocks, times scale and shift, labels). How images are noised and what is
predicted are not in its config.json.
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _diffusers_scheduler
from jmim.convert.tables import _diffusers_unet as unets
from jmim.convert.tables import _unet
from jmim.convert.tables import diffusers_autoencoder
from jmim.convert.tables import diffusers_unet
from jmim.methods.diffusion import ddpm
from jmim.nn.nets import unet

ORDERS = {True: "cos_sin", False: "sin_cos"}  # flip_sin_to_cos


def full(method: ddpm.DDPM) -> pieces.Table:
  """The parameters of the only player."""
  rules = unets.network(method.net(), labels=_unet.LABELS)
  return table.placed(rules, "", family.MAIN)


def objection(method: ddpm.DDPM) -> str | None:
  """What a UNet2DModel cannot be."""
  dims = method.dims
  if dims.attend_first or dims.up_heads or dims.level_blocks:
    return (
      "levels have as many blocks, with attention behind each or none, and as "
      "many heads going up (dims.attend_first, up_heads, level_blocks)"
    )
  if not dims.updown and not dims.resample_conv:
    return "sides change in convolutions or in residual blocks"
  if dims.time_order not in ORDERS.values():
    return f"dims.time_order={dims.time_order!r}: {[*ORDERS.values()]} there"
  heads, widths = _heads(method.net())
  if len(widths) > 1 and heads != {1}:
    return "all heads have one width, or every attention has one head"
  if method.labels.classes and method.labels.drop:
    return f"labels.drop={method.labels.drop}, which is 0 there"
  return diffusers_unet.objection_to_widths(dims)


def _heads(net: unet.UNet) -> tuple[set[int], set[int]]:
  """(numbers of heads, widths of a head) of all attentions."""
  last = len(net.multipliers) - 1  # the middle's are those of this level
  levels = [i for i in range(last + 1) if 2**i in net.attend_at or i == last]
  widths = {i: net.width * net.multipliers[i] for i in levels}
  heads = {i: net.heads_at(i) for i in levels}
  return set(heads.values()), {widths[i] // heads[i] for i in levels}


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' UNet2DModel: `diffusion.ddpm`.

  Raises:
    UserError: a network that is not here.
  """
  channels, out = config["in_channels"], config["out_channels"]
  learned = out > channels
  options.refuse({"out_channels": out}, out_channels=channels * (1 + learned))
  noise = dict(learn_variance=learned)
  return dict(
    size=options.side(config, "sample_size"),
    channels=channels,
    dims=dims(config),
    noise=noise | (dict(variance="learned") if learned else {}),
    labels=dict(classes=config.get("num_class_embeds") or 0, drop=0.0),
  )


def dims(config: Mapping[str, Any]) -> dict[str, Any]:
  """Fields of `unet.Dims`.

  Raises:
    UserError: a network that is not here.
  """
  kinds = config["down_block_types"]
  updown = any(k == _kind("Down", False, True) for k in kinds)
  updown |= config.get("downsample_type") == "resnet"
  attended = [k.startswith("Attn") for k in kinds]
  groups = config.get("norm_num_groups", 32)
  shifted = config.get("resnet_time_scale_shift", "default") == "scale_shift"
  pad = config.get("downsample_padding", 1)
  shift = config.get("freq_shift", 0)
  _refuse(config, attended=attended, updown=updown)
  known = {"attn_norm_num_groups": None, **config}
  if shifted or known["attn_norm_num_groups"] is not None:
    options.refuse(known, attn_norm_num_groups=groups)
  options.refuse(
    config,
    resnet_time_scale_shift="scale_shift" if shifted else "default",
    downsample_padding=min(pad, 1),
    freq_shift=min(shift, 1),
  )
  each = config.get("attention_head_dim", 8)
  return dict(
    **diffusers_unet.widths_of(config),
    blocks=config["layers_per_block"],
    attend_at=tuple(2**i for i, a in enumerate(attended) if a),
    heads=0 if each else 1,
    head_width=each or 1,
    norm_groups=groups,
    norm_eps=config.get("norm_eps", 1e-5),
    dropout=config.get("dropout", 0.0),
    scale_shift=shifted,
    updown=updown,
    late_pad=not pad,
    time_order=ORDERS[config.get("flip_sin_to_cos", True)],
    time_inclusive=bool(shift),
  )


def _refuse(
  config: Mapping[str, Any], *, attended: list[bool], updown: bool
) -> None:
  """Raises UserError for what no UNet here has."""
  change = "resnet" if updown else "conv"
  types = ("downsample_type", "upsample_type")
  options.refuse(
    config,
    down_block_types=[_kind("Down", a, updown) for a in attended],
    up_block_types=[_kind("Up", a, updown) for a in attended[::-1]],
    mid_block_type="UNetMidBlock2D",
    add_attention=True,
    center_input_sample=False,
    time_embedding_type="positional",
    time_embedding_dim=None,
    class_embed_type=None,
    mid_block_scale_factor=1,
    act_fn="silu",
    **(dict.fromkeys(types, change) if any(attended) else {}),
  )


def _kind(side: str, attended: bool, updown: bool) -> str:
  """A block of a level; `side`: "Down" or "Up"."""
  if attended:
    return f"Attn{side}Block2D"
  return f"Resnet{side}sampleBlock2D" if updown else f"{side}Block2D"


def write(method: ddpm.DDPM) -> dict[str, Any]:
  """The inverse of `read`."""
  net, dims = method.net(), method.dims
  attended = [2**i in net.attend_at for i in range(len(net.multipliers))]
  kinds = lambda side, each: [_kind(side, a, net.updown) for a in each]
  heads, widths = _heads(net)
  change = "resnet" if net.updown else "conv"
  return {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.30.0",
    "sample_size": method.size,
    "in_channels": method.channels,
    "out_channels": net.out,
    "block_out_channels": [net.width * times for times in net.multipliers],
    "layers_per_block": net.blocks,
    "down_block_types": kinds("Down", attended),
    "up_block_types": kinds("Up", attended[::-1]),
    "attention_head_dim": None if heads == {1} else widths.pop(),
    "norm_num_groups": net.groups,
    "attn_norm_num_groups": net.groups,
    "norm_eps": net.norm_eps,
    "dropout": dims.dropout,
    "resnet_time_scale_shift": "scale_shift" if net.scale_shift else "default",
    "downsample_type": change,
    "upsample_type": change,
    "downsample_padding": 0 if net.late_pad else 1,
    "flip_sin_to_cos": net.time_order == "cos_sin",
    "freq_shift": int(net.time_inclusive),
    "num_class_embeds": net.classes or None,
    "act_fn": "silu",
  }


FAMILIES = {
  "diffusers_unet2d": family.Family(
    library="hf",
    methods=("diffusion.ddpm",),
    table=full,
    containers=("",),
    aliases=diffusers_autoencoder.OLDER,
    check=objection,
    read_config=read,
    write_config=write,
    model_types=("UNet2DModel",),
    file=diffusers_autoencoder.FILE,
    more=_diffusers_scheduler.write,
  )
}
