"""Weights of the authors' MAE (facebookresearch/mae) and timm-style ViTs."""

from jmim.convert import table
from jmim.methods.mim import mae
from jmim.methods.supervised import finetune
from jmim.nn import posemb
from jmim.nn.nets import vit


def blocks(theirs: str, ours: str) -> list[table.Rule]:
  """The pre-norm blocks of timm: "<theirs>.{i}.attn.qkv.weight" and so on."""
  rules = []
  for norm in ("norm1", "norm2"):
    for a, b in (("weight", "scale"), ("bias", "bias")):
      name = f"{ours}/layers/{norm}/{b}"
      rules.append(table.Rule(theirs=f"{theirs}.{{i}}.{norm}.{a}", ours=name))
  for linear in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"):
    name = f"{ours}/layers/{linear.replace('.', '/')}"
    rules += dense(f"{theirs}.{{i}}.{linear}", name)
  return rules


def dense(theirs: str, ours: str) -> list[table.Rule]:
  """A linear layer with bias."""
  return [
    table.Rule(
      theirs=f"{theirs}.weight", ours=f"{ours}/kernel", op=table.LINEAR
    ),
    table.Rule(theirs=f"{theirs}.bias", ours=f"{ours}/bias"),
  ]


def norm(theirs: str, ours: str) -> list[table.Rule]:
  """A LayerNorm."""
  return [
    table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/scale"),
    table.Rule(theirs=f"{theirs}.bias", ours=f"{ours}/bias"),
  ]


def encoder(model: vit.ViT, channels: int, prefix: str = "") -> list:
  """A ViT; our names below `prefix`.

  Args:
    model: the ViT; with fixed positions their pos_embed is checked against
      our table, with learned ones it is a parameter.
    channels: of the images.
    prefix: of our names, with its slash ("encoder/").
  """
  conv = table.patch_conv(channels)
  rules: list[table.Rule | table.Constant] = [
    table.Rule(
      theirs="patch_embed.proj.weight",
      ours=f"{prefix}patch_embed/proj/kernel",
      op=conv,
    ),
    table.Rule(
      theirs="patch_embed.proj.bias", ours=f"{prefix}patch_embed/proj/bias"
    ),
  ]
  if model.positions == "sincos":
    rows = posemb.sincos_2d(
      model.size.width, model.grid, model.order, prefix=int(model.cls)
    )
    rules.append(table.Constant(theirs="pos_embed", value=rows[None]))
  if model.positions == "learned":
    rules.append(table.Rule(theirs="pos_embed", ours=f"{prefix}pos_embed"))
  if model.cls:
    rules.append(table.Rule(theirs="cls_token", ours=f"{prefix}cls_token"))
  rules += blocks("blocks", f"{prefix}blocks")
  return rules + (norm("norm", f"{prefix}norm") if model.final_norm else [])


def classifier(method: finetune.Finetune) -> list[table.Rule | table.Constant]:
  """A fine-tuned classifier with mean pooling."""
  return [
    *encoder(method.encoder, method.channels, "encoder/"),
    *norm("fc_norm", "head/fc_norm"),
    *dense("head", "head/head"),
  ]


def full(method: mae.MAE) -> list[table.Rule | table.Constant]:
  """Encoder and decoder, as in the authors' `*_full` files."""
  width = method.decoder.size.width
  rows = posemb.sincos_2d(width, method.grid, method.order, prefix=1)
  return [
    *encoder(method.encoder, method.channels, "encoder/"),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    table.Constant(
      theirs="decoder_pos_embed", value=rows[None], ours="decoder/pos_embed"
    ),
    *dense("decoder_embed", "decoder/embed"),
    *blocks("decoder_blocks", "decoder/blocks"),
    *norm("decoder_norm", "decoder/norm"),
    *dense("decoder_pred", "decoder/pred"),
  ]
