"""MAE as Transformers has it: weights and options."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import mae
from jmim.nn import posemb


def full(method: mae.MAE) -> pieces.Table:
  """ViTMAEForPreTraining."""
  rows = [
    posemb.sincos_2d(net.size.width, net.grid, net.order, prefix=1)[None]
    for net in (method.encoder, method.decoder)
  ]
  embeddings = "vit.embeddings"
  return [
    *pieces.hf_embeddings(method.encoder, embeddings, "encoder"),
    table.Constant(theirs=f"{embeddings}.position_embeddings", value=rows[0]),
    *pieces.hf_block("vit.encoder.layer.{i}", "encoder/blocks/layers"),
    *pieces.norm("vit.layernorm", "encoder/norm"),
    table.Rule(theirs="decoder.mask_token", ours="decoder/mask_token"),
    table.Constant(
      theirs="decoder.decoder_pos_embed",
      value=rows[1],
      ours="decoder/pos_embed",
    ),
    *pieces.dense("decoder.decoder_embed", "decoder/embed"),
    *pieces.hf_block("decoder.decoder_layers.{i}", "decoder/blocks/layers"),
    *pieces.norm("decoder.decoder_norm", "decoder/norm"),
    *pieces.dense("decoder.decoder_pred", "decoder/pred"),
  ]


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' ViTMAE: `mim.mae`, whose LayerNorms have eps 1e-6."""
  options.refuse(config, hidden_act="gelu", qkv_bias=True)
  width, dims = config["decoder_hidden_size"], options.hf_dims(config)
  hidden = int(width * dims["mlp_ratio"])
  options.refuse(config, decoder_intermediate_size=hidden)
  return dict(
    **options.hf_image(config),
    dims=dims,
    decoder_dims=dict(
      width=width,
      depth=config["decoder_num_hidden_layers"],
      heads=config["decoder_num_attention_heads"],
    ),
    mask_ratio=config.get("mask_ratio", 0.75),
    norm_pix=config.get("norm_pix_loss", False),
  )


def write(method: mae.MAE) -> dict[str, Any]:
  """The inverse of `read`."""
  size = method.decoder.size
  config = options.write_hf(method, "vit_mae", "ViTMAEForPreTraining")
  return config | dict(
    decoder_hidden_size=size.width,
    decoder_num_hidden_layers=size.depth,
    decoder_num_attention_heads=size.heads,
    decoder_intermediate_size=int(size.width * size.mlp_ratio),
    mask_ratio=method.mask_ratio,
    norm_pix_loss=method.norm_pix,
    hidden_act="gelu",
    layer_norm_eps=1e-6,
    qkv_bias=True,
  )


FAMILIES = {
  "hf_vit_mae": family.Family(
    library="hf",
    methods=("mim.mae",),
    table=family.main(full),
    containers=("",),
    aliases=(
      (r"^decoder\.decoder_encoder\.layer\.", "decoder.decoder_layers."),
      family.hf_prefix("vit"),
    ),
    optional=family.DECODER,
    fixed=dict(height=0),
    read_config=read,
    write_config=write,
    model_types=("vit_mae",),
  )
}
