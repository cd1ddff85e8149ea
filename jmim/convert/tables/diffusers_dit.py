"""DiT as Diffusers has it: weights and options."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _diffusers_scheduler
from jmim.methods.diffusion import dit


def full(method: dit.DiT) -> pieces.Table:
  """DiTTransformer2DModel: every block has its copy of the embeddings."""
  net, block, ours = method.net, "transformer_blocks.{i}", "blocks/layers"
  emb, depth = f"{block}.norm1.emb", net.size.depth
  qkv = [f"{block}.attn1.to_{n}" for n in "qkv"]
  copies = [
    table.Rule(
      theirs=f"{emb}.class_embedder.embedding_table.weight",
      ours="label_embed/embedding",
    ),
    *pieces.dense(f"{emb}.timestep_embedder.linear_1", "time_embed/fc1"),
    *pieces.dense(f"{emb}.timestep_embedder.linear_2", "time_embed/fc2"),
  ]
  return [
    *pieces.dense(
      "pos_embed.proj", "patch_embed", op=ops.patch_conv(net.patch)
    ),
    *(dataclasses.replace(rule, copies=depth) for rule in copies),
    *pieces.dense(f"{block}.norm1.linear", f"{ours}/modulation"),
    *pieces.fused(qkv, f"{ours}/attn/qkv"),
    *pieces.dense(f"{block}.attn1.to_out.0", f"{ours}/attn/proj"),
    *pieces.mlp(f"{block}.ff.net", f"{ours}/mlp", ("0.proj", "2")),
    *pieces.dense("proj_out_1", "modulation"),
    *pieces.dense("proj_out_2", "pred"),
  ]


def objection(method: dit.DiT) -> str | None:
  """What a DiT of Diffusers cannot be."""
  if method.net.classes and method.net.size.mlp_ratio == 4.0:
    return None
  return "it has labels and mlp_ratio=4"


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Diffusers' DiTTransformer2DModel: `diffusion.dit`."""
  options.refuse(
    config,
    norm_type="ada_norm_zero",
    activation_fn="gelu-approximate",
    attention_bias=True,
    norm_elementwise_affine=False,
  )
  channels, heads = config["in_channels"], config["num_attention_heads"]
  out = config.get("out_channels") or channels
  learned = out > channels
  options.refuse({"out_channels": out}, out_channels=channels * (1 + learned))
  return dict(
    variant=f"B/{config['patch_size']}",
    size=options.side(config, "sample_size"),
    channels=channels,
    width=heads * config["attention_head_dim"],
    depth=config["num_layers"],
    heads=heads,
    mlp_ratio=4.0,
    classes=config["num_embeds_ada_norm"],
    learn_variance=learned,
    variance="learned" if learned else "small",
  )


def write(method: dit.DiT) -> dict[str, Any]:
  """The inverse of `read`."""
  net = method.net
  return {
    "_class_name": "DiTTransformer2DModel",
    "_diffusers_version": "0.30.0",
    "num_attention_heads": net.size.heads,
    "attention_head_dim": net.size.width // net.size.heads,
    "in_channels": method.channels,
    "out_channels": net.out,
    "num_layers": net.size.depth,
    "sample_size": method.size,
    "patch_size": net.patch,
    "num_embeds_ada_norm": net.classes,
    "activation_fn": "gelu-approximate",
    "norm_type": "ada_norm_zero",
    "norm_elementwise_affine": False,
    "norm_eps": 1e-6,
    "attention_bias": True,
  }


# Diffusers scales the angles of time by 1 / (half - 1), the authors (and we) by
# 1 / half, which its config.json cannot say.
NOTES = (
  "for the outputs of this run, in Diffusers: for block in "
  "model.transformer_blocks: "
  "block.norm1.emb.time_proj.downscale_freq_shift = 0",
)
FAMILIES = {
  "diffusers_dit": family.Family(
    library="hf",
    methods=("diffusion.dit",),
    table=family.main(full),
    containers=("",),
    ignored=(r"^pos_embed\.pos_embed$",),
    check=objection,
    read_config=read,
    write_config=write,
    model_types=("DiTTransformer2DModel",),
    file="diffusion_pytorch_model.safetensors",
    more=_diffusers_scheduler.write,
    notes=NOTES,
  )
}
