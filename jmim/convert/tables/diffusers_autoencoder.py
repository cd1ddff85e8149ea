"""First stages of latent diffusion as Diffusers has them."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import ldm
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.nn.nets import codec

OLDER = (  # names of attention in older files
  (r"\.query\.", ".to_q."),
  (r"\.key\.", ".to_k."),
  (r"\.value\.", ".to_v."),
  (r"\.proj_attn\.", ".to_out.0."),
)
FILE = "diffusion_pytorch_model.safetensors"
SCALE = 0.18215  # where a config.json says none
PLAINEST = {"kl": "kl-f8", "vq": "vq-f4"}
PLAIN, ATTENTIVE = "EncoderBlock2D", "AttnDownEncoderBlock2D"


def names(side: str, levels: int) -> ldm.Names:
  """Diffusers' names; its decoder counts levels from the coarsest.

  Args:
    side: "down" or "up".
    levels: their number.
  """
  at = lambda level: level if side == "down" else levels - 1 - level
  return ldm.Names(
    block=lambda level, i: f"{side}_blocks.{at(level)}.resnets.{i}",
    attention=lambda level, i: f"{side}_blocks.{at(level)}.attentions.{i}",
    resample=lambda level: f"{side}_blocks.{at(level)}.{side}samplers.0.conv",
    middle={
      0: "mid_block.resnets.0",
      1: "mid_block.resnets.1",
      "attention": "mid_block.attentions.0",
    },
    norm_out="conv_norm_out",
    skip="conv_shortcut",
    attention_norm="group_norm",
    qkv=("to_q", "to_k", "to_v"),
    proj="to_out.0",
    point=ops.LINEAR,
  )


def full(method: ldm.FirstStage) -> pieces.Table:
  """AutoencoderKL or VQModel."""
  size = method.net.size
  naming = lambda side: names(side, len(size.multipliers))
  rules = table.placed(ldm.autoencoder(size, naming), "", ldm.NET)
  return rules + ldm.codebook(method)


def same_width(method: autoencoder_kl.AutoencoderKL) -> str | None:
  """Why a KL autoencoder does not fit: its code has a width of its own."""
  size = method.net.size
  return None if size.code == size.latent else "embed is latent there"


def _sizes(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
  """What both say of their networks; `kind` is "kl" or "vq"."""
  widths, z = config["block_out_channels"], config["latent_channels"]
  kinds = config["down_block_types"]
  options.refuse(
    config,
    act_fn="silu",
    mid_block_add_attention=True,
    norm_num_groups=codec.Size(width=widths[0]).groups,
    out_channels=config["in_channels"],
    latents_mean=None,
    latents_std=None,
  )
  if config.get("shift_factor"):  # z is scaled here, not moved
    options.refuse(config, shift_factor=None)
  n = len(widths)
  near = f"{kind}-f{2 ** (n - 1)}"  # all its sizes are set below
  if near not in codec.SIZES or codec.SIZES[near].attend_at:
    near = PLAINEST[kind]
  return dict(
    variant=near,
    size=options.side(config, "sample_size"),
    channels=config["in_channels"],
    width=widths[0],
    multipliers=tuple(w // widths[0] for w in widths),
    latent_scale=config.get("scaling_factor", SCALE),
    latent=z,
    embed=z,
    blocks=config["layers_per_block"],
    attend_at=tuple(2**i for i in range(n) if kinds[i] == ATTENTIVE),
  )


def read_kl(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' AutoencoderKL: `latent.autoencoder_kl`."""
  options.refuse(config, use_quant_conv=True, use_post_quant_conv=True)
  return _sizes(config, "kl")


def read_vq(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' VQModel: `latent.autoencoder_vq`."""
  options.refuse(config, norm_type="group", lookup_from_codebook=False)
  embed = config.get("vq_embed_dim") or config["latent_channels"]
  codes = config["num_vq_embeddings"]
  return _sizes(config, "vq") | dict(embed=embed, codes=codes)


def write_kl(method: ldm.FirstStage) -> dict[str, Any]:
  """The inverse of `read_kl`."""
  size = method.net.size
  n = len(size.multipliers)
  attends = [2**i in size.attend_at for i in range(n)]
  down = [ATTENTIVE if a else f"Down{PLAIN}" for a in attends]
  up = ["AttnUpDecoderBlock2D" if a else "UpDecoderBlock2D" for a in attends]
  return {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.30.0",
    "in_channels": size.channels,
    "out_channels": size.channels,
    "down_block_types": down,
    "up_block_types": up[::-1],
    "block_out_channels": [size.width * m for m in size.multipliers],
    "layers_per_block": size.blocks,
    "latent_channels": size.latent,
    "norm_num_groups": size.groups,
    "sample_size": method.size,
    "act_fn": "silu",
    "scaling_factor": method.latent_scale or SCALE,
  }


def write_vq(method: autoencoder_vq.AutoencoderVQ) -> dict[str, Any]:
  """The inverse of `read_vq`."""
  return write_kl(method) | {
    "_class_name": "VQModel",
    "num_vq_embeddings": method.net.codes,
    "vq_embed_dim": method.net.size.code,
  }


FAMILIES = {
  "diffusers_vae": family.Family(
    library="hf",
    methods=ldm.METHODS[:1],
    table=full,
    containers=("",),
    aliases=OLDER,
    optional=ldm.CRITICS,
    unsupported=ldm.CRITICS,
    check=same_width,
    read_config=read_kl,
    write_config=write_kl,
    model_types=("AutoencoderKL",),
    file=FILE,
  ),
  "diffusers_vq": family.Family(
    library="hf",
    methods=ldm.METHODS[1:],
    table=full,
    containers=("",),
    aliases=OLDER,
    optional=ldm.CRITICS,
    unsupported=(*ldm.CRITICS, *ldm.COUNTS),
    read_config=read_vq,
    write_config=write_vq,
    model_types=("VQModel",),
    file=FILE,
  ),
}
