"""The UNet of Stable Diffusion 1 as Diffusers has it: `latent.ldm`.

Its context are the features of a text, stored with the examples: the task
"context". How it is noised is not in the file, nor in its config.json.
"""

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


def transformer(theirs: str, ours: str, depth: int) -> pieces.Table:
  """Transformer2DModel, whose first and last maps are convolutions.

  Args:
    theirs: name of the layer.
    ours: name of the layer.
    depth: blocks.
  """
  rules = pieces.norm(f"{theirs}.norm", f"{ours}/norm")
  for name in ("proj_in", "proj_out"):
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op=ops.POINT)
  for i in range(depth):
    block = f"{theirs}.transformer_blocks.{i}."
    rules += layers.block(block, f"{ours}/", f"_{i}")
  return rules


def network(net: unet.UNet) -> pieces.Table:
  """The whole UNet; our names without a prefix."""
  rules = pieces.dense("time_embedding.linear_1", "time_embed/fc1")
  rules += pieces.dense("time_embedding.linear_2", "time_embed/fc2")
  rules += pieces.dense("conv_in", "conv_in", op=ops.CONV)
  widths = [times * net.width for times in net.multipliers]
  skips, width = [net.width], net.width
  for level, new in enumerate(widths):
    for i in range(net.blocks_at[level]):
      rules += _stage(net, "down", level, i=i, skip=width != new)
      width = new
      skips.append(width)
    if level + 1 < len(widths):
      there = f"down_blocks.{level}.downsamplers.0.conv"
      rules += pieces.dense(there, f"down{level}_conv", op=ops.CONV)
      skips.append(width)
  for i in (0, 1):
    rules += res(f"mid_block.resnets.{i}", f"middle_{i}", False)
  middle = ("mid_block.attentions.0", "middle_attention")
  rules += transformer(*middle, net.transformer)
  for level, new in reversed(list(enumerate(widths))):
    for i in range(net.blocks_at[level] + 1):
      skip = width + skips.pop() != new
      rules += _stage(net, "up", level, i=i, skip=skip)
      width = new
    if level:
      there = f"up_blocks.{len(widths) - 1 - level}.upsamplers.0.conv"
      rules += pieces.dense(there, f"up{level}_conv", op=ops.CONV)
  rules += pieces.norm("conv_norm_out", "norm_out")
  return rules + pieces.dense("conv_out", "conv_out", op=ops.CONV)


def _stage(
  net: unet.UNet, side: str, level: int, *, i: int, skip: bool
) -> pieces.Table:
  """Residual block i of a level and, at some, a transformer.

  Args:
    net: the network.
    side: "down" or "up"; that counts levels from the coarsest.
    level: ours, from the finest.
    i: of the block.
    skip: its width changes.
  """
  at = level if side == "down" else len(net.multipliers) - 1 - level
  theirs, ours = f"{side}_blocks.{at}", f"{side}{level}_{i}"
  rules = res(f"{theirs}.resnets.{i}", ours, skip)
  if net.attends(level, i):
    there = f"{theirs}.attentions.{i}"
    rules += transformer(there, f"{ours}_attention", net.transformer)
  return rules


def full(method: ldm.LDM) -> pieces.Table:
  """The parameters of the only player that are the network's."""
  return table.placed(network(method.net()), "", f"{family.MAIN}net/")


def objection(method: ldm.LDM) -> str | None:
  """What a UNet of Diffusers cannot be, or is not of here."""
  dims = method.dims
  if not method.condition.transformer:
    return "it has a context (condition.transformer)"
  if dims.updown or not dims.resample_conv or dims.up_heads:
    return "sides change in convolutions, and heads are as many up as down"
  if dims.attend_first or dims.level_blocks:
    return "every level has as many blocks, and attention in each or none"
  if dims.scale_shift:
    return "times are added"
  return None


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' UNet2DConditionModel: `latent.ldm`."""
  widths, kinds = config["block_out_channels"], config["down_block_types"]
  channels, n = config["in_channels"], len(config["block_out_channels"])
  kind = lambda side, cross: (CROSS if cross else PLAIN).format(side)
  crossed = [k == kind("Down", True) for k in kinds]
  options.refuse(
    config,
    down_block_types=[kind("Down", c) for c in crossed],
    up_block_types=[kind("Up", c) for c in crossed[::-1]],
    mid_block_type="UNetMidBlock2DCrossAttn",
    out_channels=channels,
    act_fn="silu",
    norm_eps=1e-5,
    center_input_sample=False,
    flip_sin_to_cos=True,
    freq_shift=0,
    downsample_padding=1,
    mid_block_scale_factor=1,
    use_linear_projection=False,
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
  if not (one or same):
    options.refuse(config, attention_head_dim=counts[0])
  return dict(
    size=options.side(config, "sample_size"),
    channels=channels,
    width=widths[0],
    multipliers=tuple(w // widths[0] for w in widths),
    blocks=config["layers_per_block"],
    attend_at=tuple(2**i for i in range(n) if crossed[i]),
    heads=counts[0] if one else 0,
    head_width=every[0],
    norm_groups=config.get("norm_num_groups", 32),
    dropout=0.0,
    task="context",
    context=config["cross_attention_dim"],
    transformer=config.get("transformer_layers_per_block", 1),
    first_stage="kl-f8",
    latent_scale=0.18215,
    **NOISE,
  )


def write(method: ldm.LDM) -> dict[str, Any]:
  """The inverse of `read`."""
  net = method.net()
  widths = [net.width * times for times in net.multipliers]
  crossed = [2**i in net.attend_at for i in range(len(widths))]
  kinds = lambda side, cs: [(CROSS if c else PLAIN).format(side) for c in cs]
  return {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.30.0",
    "sample_size": method.size,
    "in_channels": method.channels,
    "out_channels": net.out,
    "block_out_channels": widths,
    "layers_per_block": net.blocks_at[0],
    "down_block_types": kinds("Down", crossed),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": kinds("Up", crossed[::-1]),
    "attention_head_dim": [net.heads_at(w) for w in widths],
    "cross_attention_dim": method.condition.context,
    "transformer_layers_per_block": net.transformer,
    "norm_num_groups": net.groups,
    "norm_eps": 1e-5,
    "act_fn": "silu",
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "use_linear_projection": False,
  }


FAMILIES = {
  "diffusers_unet": family.Family(
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
}
