"""Weights of the authors' CAE (Atten4Vis/CAE)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import cae
from jmim.nn import posemb


def encoder(method: cae.CAE) -> pieces.Table:
  """BEiT's blocks under a row-first table."""
  return table.placed(
    pieces.beit_encoder(method.encoder, "encoder/"), "encoder.", ""
  )


def regressor(method: cae.CAE) -> pieces.Table:
  """Cross-attending blocks; k has no bias."""
  theirs, ours = "regresser.regressor_blocks.{i}", "context/regressor"
  layers, cross = f"{ours}/blocks/layers", f"{theirs}.cross_attn"
  rules = [table.Rule(theirs="mask_token", ours=f"{ours}/mask_token")]
  for name in "qkv":
    kernel = f"{layers}/cross/{name}/kernel"
    rules.append(
      table.Rule(theirs=f"{cross}.{name}.weight", ours=kernel, op=ops.LINEAR)
    )
    rules += pieces.norm(f"{theirs}.norm1_{name}", f"{layers}/norm_{name}")
  for name in "qv":
    bias = f"{layers}/cross/{name}/bias"
    rules.append(table.Rule(theirs=f"{cross}.{name}_bias", ours=bias))
  if method.context.layer_scale:
    rules += pieces.layer_scales(f"{theirs}.gamma_", layers, "_cross")
  return [
    *rules,
    *pieces.dense(f"{cross}.proj", f"{layers}/cross/proj"),
    *pieces.norm(f"{theirs}.norm2_cross", f"{layers}/norm2"),
    *pieces.mlp(f"{theirs}.mlp_cross", f"{layers}/mlp"),
    *pieces.norm("regresser.norm", f"{ours}/norm"),
  ]


def full(method: cae.CAE) -> pieces.Table:
  """Encoder, regressor, decoder and what joins unequal widths."""
  context, ours = method.context, "context/decoder"
  rows = posemb.sincos_2d(context.size.width, context.grid, "yx", prefix=1)
  rules = [
    *encoder(method),
    *regressor(method),
    table.Constant(theirs="rd_pos_embed", value=rows[None]),
    *pieces.beit_block(
      "decoder.decoder_blocks.{i}",
      f"{ours}/blocks/layers",
      layer_scale=bool(context.layer_scale),
    ),
    *pieces.norm("decoder.norm", f"{ours}/norm"),
    *pieces.dense("decoder.head", f"{ours}/head"),
  ]
  if context.size.width != method.encoder.size.width:
    bridge = "encoder_to_regresser"
    rules += pieces.dense(bridge, "context/bridge/map")
    rules += pieces.norm(f"{bridge}_norm", "context/bridge/norm")
  return rules


FAMILIES = {
  "cae": family.Family(
    library="authors", methods=("mim.cae",), table=family.main(full)
  )
}
