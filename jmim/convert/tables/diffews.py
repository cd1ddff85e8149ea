"""DiffewS (aim-uofa/DiffewS): the UNet of Stable Diffusion 2 with two stems.

Its config.json is that of Diffusers; `in_channels_ref` are the channels of the
second stem, an image and a mask.
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _diffusers_unet as unets
from jmim.convert.tables import diffusers_unet
from jmim.methods.dense import diffews
from jmim.nn.nets import unet


def network(net: unet.UNet) -> pieces.Table:
  """The UNet and its second stem; our names without a prefix."""
  rules = unets.network(net, linear=True)
  return rules + pieces.dense("conv_in_ref", diffews.STEM, op=ops.CONV)


def full(method: diffews.DiffewS) -> pieces.Table:
  """The parameters of the only player."""
  return table.placed(network(method.net), "", f"{family.MAIN}net/")


def objection(method: diffews.DiffewS) -> str | None:
  """What it cannot be."""
  if not method.prompt.transformer:
    return "it has a prompt (prompt.transformer)"
  return diffusers_unet.objection_to(method.dims)


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Their config.json: `dense.diffews`."""
  channels = config["in_channels"]
  options.refuse(config, out_channels=channels, in_channels_ref=2 * channels)
  return dict(
    size=options.side(config, "sample_size"),
    channels=channels,
    dims=diffusers_unet.dims(config),
    prompt=diffusers_unet.told(config),
  )


def write(method: diffews.DiffewS) -> dict[str, Any]:
  """The inverse of `read`."""
  return {
    "_class_name": "UNet2DConditionModel",
    "sample_size": method.size,
    "in_channels": method.channels,
    "in_channels_ref": 2 * method.channels,
    **diffusers_unet.write_net(method.net),
    "cross_attention_dim": method.prompt.context,
    "use_linear_projection": True,
  }


FAMILIES = {
  "diffews": family.Family(
    library="hf",
    methods=("dense.diffews",),
    table=full,
    containers=("",),
    check=objection,
    read_config=read,
    write_config=write,
    file="diffusion_pytorch_model.safetensors",
  )
}
