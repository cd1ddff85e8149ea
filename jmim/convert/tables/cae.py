"""Weights of the authors' CAE (Atten4Vis/CAE)."""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.convert.tables import simmim
from jmim.methods.mim import cae
from jmim.nn import posemb

Table = list[table.Rule | table.Constant]


def encoder(method: cae.CAE) -> Table:
  """BEiT blocks under a row-first table."""
  model = method.encoder
  rules = [
    rule
    for rule in mae.encoder(model, 3, "encoder/")
    if not rule.theirs.startswith("blocks.")
  ]
  rules += simmim.beit_blocks(
    "blocks", "encoder/blocks", bool(method.layer_scale)
  )
  return [_below("encoder.", rule) for rule in rules]


def _below(prefix: str, rule):
  """The same rule with their name below a prefix."""
  if isinstance(rule, table.Constant):
    return table.Constant(
      theirs=prefix + rule.theirs, value=rule.value, tolerance=rule.tolerance
    )
  return table.Rule(theirs=prefix + rule.theirs, ours=rule.ours, op=rule.op)


def regressor(method: cae.CAE) -> Table:
  """Cross-attending blocks."""
  theirs, ours = "regresser.regressor_blocks.{i}", "context/regressor"
  layers = f"{ours}/blocks/layers"
  rules = [table.Rule(theirs="mask_token", ours=f"{ours}/mask_token")]
  for name in "qkv":
    rules.append(
      table.Rule(
        theirs=f"{theirs}.cross_attn.{name}.weight",
        ours=f"{layers}/cross/{name}/kernel",
        op=table.LINEAR,
      )
    )
    if name != "k":
      rules.append(
        table.Rule(
          theirs=f"{theirs}.cross_attn.{name}_bias",
          ours=f"{layers}/cross/{name}/bias",
        )
      )
    rules += mae.norm(f"{theirs}.norm1_{name}", f"{layers}/norm_{name}")
  for i in (1, 2) if method.context.layer_scale else ():
    rules.append(
      table.Rule(
        theirs=f"{theirs}.gamma_{i}_cross", ours=f"{layers}/ls{i}/gamma"
      )
    )
  return [
    *rules,
    *mae.dense(f"{theirs}.cross_attn.proj", f"{layers}/cross/proj"),
    *mae.norm(f"{theirs}.norm2_cross", f"{layers}/norm2"),
    *mae.dense(f"{theirs}.mlp_cross.fc1", f"{layers}/mlp/fc1"),
    *mae.dense(f"{theirs}.mlp_cross.fc2", f"{layers}/mlp/fc2"),
    *mae.norm("regresser.norm", f"{ours}/norm"),
  ]


def full(method: cae.CAE) -> Table:
  """Encoder, regressor, decoder and what joins unequal widths."""
  width, ours = method.context.size.width, "context/decoder"
  rows = posemb.sincos_2d(width, method.encoder.grid, "yx", prefix=1)
  rules = [
    *encoder(method),
    *regressor(method),
    table.Constant(theirs="rd_pos_embed", value=rows[None]),
    *simmim.beit_blocks(
      "decoder.decoder_blocks",
      f"{ours}/blocks",
      bool(method.context.layer_scale),
    ),
    *mae.norm("decoder.norm", f"{ours}/norm"),
    *mae.dense("decoder.head", f"{ours}/head"),
  ]
  if width != method.encoder.size.width:
    rules += mae.dense("encoder_to_regresser", "context/bridge/map")
    rules += mae.norm("encoder_to_regresser_norm", "context/bridge/norm")
  return rules
