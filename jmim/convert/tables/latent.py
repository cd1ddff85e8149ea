"""Families of latent diffusion: both stages, and Diffusers' first stages."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert.tables import configs
from jmim.convert.tables import ldm
from jmim.convert.tables import ldm_unet
from jmim.nn.nets import codec

FIRST_STAGES = ("latent.autoencoder_kl", "latent.autoencoder_vq")
CRITIC = ("^params/discriminator/",)
OLDER = (  # names of attention in older files
  (r"\.query\.", ".to_q."),
  (r"\.key\.", ".to_k."),
  (r"\.value\.", ".to_v."),
  (r"\.proj_attn\.", ".to_out.0."),
)
PLAINEST = {"kl": "kl-f8", "vq": "vq-f4"}
PLAIN, ATTENTIVE = "EncoderBlock2D", "AttnDownEncoderBlock2D"


def _sizes(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
  """What both of Diffusers' first stages say of their networks."""
  widths, z = config["block_out_channels"], config["latent_channels"]
  kinds = config["down_block_types"]
  configs.refuse(
    config,
    act_fn="silu",
    mid_block_add_attention=True,
    norm_num_groups=codec.Size(width=widths[0]).groups,
    out_channels=config["in_channels"],
  )
  n = len(widths)
  near = f"{kind}-f{2 ** (n - 1)}"  # says nothing that is not said below
  if near not in codec.SIZES or codec.SIZES[near].attend_at:
    near = PLAINEST[kind]
  return dict(
    variant=near,
    size=config["sample_size"],
    channels=config["in_channels"],
    width=widths[0],
    multipliers=tuple(w // widths[0] for w in widths),
    latent=z,
    embed=z,
    blocks=config["layers_per_block"],
    attend_at=tuple(2**i for i in range(n) if kinds[i] == ATTENTIVE),
  )


def read_vae(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' AutoencoderKL: `latent.autoencoder_kl`."""
  configs.refuse(config, use_quant_conv=True, use_post_quant_conv=True)
  return _sizes(config, "kl")


def read_vq(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' VQModel: `latent.autoencoder_vq`."""
  configs.refuse(config, norm_type="group", lookup_from_codebook=False)
  embed = config.get("vq_embed_dim") or config["latent_channels"]
  codes = config["num_vq_embeddings"]
  return _sizes(config, "vq") | dict(embed=embed, codes=codes)


def write_vq(method: Any) -> dict[str, Any]:
  """The inverse of `read_vq`."""
  return write_vae(method) | {
    "_class_name": "VQModel",
    "num_vq_embeddings": method.codebook.codes,
    "vq_embed_dim": method.net.size.code,
  }


def write_vae(method: Any) -> dict[str, Any]:
  """The inverse of `read_vae`."""
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
    "scaling_factor": 0.18215,
  }


def _same(method) -> str | None:
  size = method.net.size
  return None if size.code == size.latent else "embed is latent there"


FAMILIES = {
  "ldm_first_stage": family.Family(
    library="authors",
    methods=FIRST_STAGES,
    table=ldm.first_stage,
    containers=(
      "state_dict.first_stage_model.",
      "first_stage_model.",
      "state_dict.",
      "",
    ),
    ignored=(
      r"running_(mean|var)$",
      "num_batches_tracked$",
      r"^loss\.(perceptual_loss|logvar)",
    ),
    optional=CRITIC,
    left_out=("^extra/(used|total)$",),
  ),
  "ldm": family.Family(
    library="authors",
    methods=("latent.ldm",),
    table=ldm_unet.second_stage,
    containers=("state_dict.", ""),
    ignored=(
      r"^(first_stage_model|cond_stage_model|model_ema)\.",
      "^(betas|alphas|sqrt_|log_|posterior_|lvlb_|logvar)",
      "^scale_factor$",
    ),
    left_out=(
      "^extra/scale$",
      "^params/main/(log_var|condition/(tokens|segments))",
    ),
  ),
  "diffusers_vae": family.Family(
    library="hf",
    methods=FIRST_STAGES[:1],
    table=ldm.diffusers_first_stage,
    containers=("",),
    aliases=OLDER,
    optional=CRITIC,
    left_out=CRITIC,
    wants=_same,
    read_config=read_vae,
    write_config=write_vae,
  ),
  "diffusers_vq": family.Family(
    library="hf",
    methods=FIRST_STAGES[1:],
    table=ldm.diffusers_first_stage,
    containers=("",),
    aliases=OLDER,
    optional=CRITIC,
    left_out=(*CRITIC, "^extra/(used|total)$"),
    read_config=read_vq,
    write_config=write_vq,
  ),
}
