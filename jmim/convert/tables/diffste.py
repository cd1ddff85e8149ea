"""DiffSTE (UCSB-NLP-Chang/DiffSTE), and the UNet that it starts from.

`diffste`: the authors' checkpoint, both branches of every transformer and the
tables of characters; what it holds of Stable Diffusion's autoencoder and text
encoder are other families. `diffste_base`: Stable Diffusion's inpainting UNet
in Diffusers' layout, whose text is the only branch.
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _diffusers_unet as unets
from jmim.convert.tables import diffusers_unet
from jmim.methods.edit import diffste
from jmim.methods.parts import spelt

NET, TOLD = f"{family.MAIN}net/", f"{family.MAIN}told/"


def characters() -> pieces.Table:
  """The encoder of characters; our names without a prefix."""
  rule = lambda theirs, ours: table.Rule(theirs=f"{theirs}.weight", ours=ours)
  return [
    rule("char_embedding", "symbols"),
    rule("position_embedding", "places"),
  ]


def full(method: diffste.DiffSTE) -> pieces.Table:
  """The UNet with its branches, and the characters."""
  return [
    *table.placed(unets.network(method.net), "unet.", NET),
    *table.placed(characters(), "char_embedder.", f"{TOLD}{spelt.CHAR}/"),
  ]


def base(method: diffste.DiffSTE) -> pieces.Table:
  """The UNet alone."""
  return table.placed(unets.network(method.net), "", NET)


def objection(method: diffste.DiffSTE) -> str | None:
  """What the authors' cannot be."""
  if set(method.told.branches) != set(spelt.BRANCHES):
    return f"told.branches={method.told.branches}: both branches are there"
  return diffusers_unet.objection_to(method.dims)


def objection_to_base(method: diffste.DiffSTE) -> str | None:
  """What Stable Diffusion's cannot be."""
  if method.told.branches != (spelt.TEXT,):
    return f"told.branches={method.told.branches}: the text is all there is"
  return diffusers_unet.objection_to(method.dims)


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' UNet2DConditionModel of nine channels: `edit.diffste`."""
  channels = config["out_channels"]
  options.refuse(
    config, in_channels=2 * channels + 1, use_linear_projection=False
  )
  told = diffusers_unet.told(config)
  options.refuse(
    {"transformer_layers_per_block": told["transformer"]},
    transformer_layers_per_block=1,
  )
  return dict(
    size=(options.side(config, "sample_size"),) * 2,
    channels=channels,
    dims=diffusers_unet.dims(config),
    told=dict(branches=(spelt.TEXT,), text=dict(width=told["context"])),
  )


def write(method: diffste.DiffSTE) -> dict[str, Any]:
  """The inverse of `read`."""
  height, width = method.size
  return {
    "_class_name": "UNet2DConditionModel",
    "sample_size": height if height == width else [height, width],
    "in_channels": 2 * method.channels + 1,
    **diffusers_unet.write_net(method.net),
    "cross_attention_dim": method.told.text.width,
    "use_linear_projection": False,
  }


FAMILIES = {
  "diffste": family.Family(
    library="authors",
    methods=("edit.diffste",),
    table=full,
    ignored=("^vae[.]", "^text_encoder[.]", "position_ids$"),
    unsupported=(f"^{TOLD}{spelt.TEXT}/",),
    check=objection,
  ),
  "diffste_base": family.Family(
    library="hf",
    methods=("edit.diffste",),
    table=base,
    containers=("",),
    unsupported=(f"^{TOLD}",),
    check=objection_to_base,
    read_config=read,
    write_config=write,
    file="diffusion_pytorch_model.safetensors",
  ),
}
