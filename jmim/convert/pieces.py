"""Rules that many tables are made of: layers, blocks, whole encoders.

`theirs` and `ours` are the names of a layer on either side, without those of
its arrays; theirs has "{i}" where it counts blocks.
"""

from collections.abc import Sequence

from jmim.convert import ops
from jmim.convert import table
from jmim.nn import posemb
from jmim.nn.nets import vit

Table = list[table.Rule | table.Constant]
QKV = ("query", "key", "value")
DENSE, NORM = ("kernel", "bias"), ("scale", "bias")  # leaves of flax


def dense(
  theirs: str, ours: str, op: ops.Op = ops.LINEAR, bias: bool = True
) -> Table:
  """A linear layer of torch; with another `op`, a convolution."""
  rules: Table = [
    table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/kernel", op=op)
  ]
  if bias:
    rules.append(table.Rule(theirs=f"{theirs}.bias", ours=f"{ours}/bias"))
  return rules


def norm(theirs: str, ours: str) -> Table:
  """A norm of torch with scale and bias."""
  return [
    table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/scale"),
    table.Rule(theirs=f"{theirs}.bias", ours=f"{ours}/bias"),
  ]


def same(theirs: str, ours: str, *leaves: str) -> Table:
  """A layer of flax, whose arrays are called and laid out as ours."""
  return [
    table.Rule(theirs=f"{theirs}/{n}", ours=f"{ours}/{n}") for n in leaves
  ]


def fused(
  theirs: Sequence[str], ours: str, op: ops.Op = ops.LINEAR, bias: bool = True
) -> Table:
  """Linear layers of equal size that are one here, as q, k and v."""
  every = lambda leaf: tuple(f"{name}.{leaf}" for name in theirs)
  rules: Table = [
    table.Rule(theirs=every("weight"), ours=f"{ours}/kernel", op=op)
  ]
  if bias:
    rules.append(table.Rule(theirs=every("bias"), ours=f"{ours}/bias"))
  return rules


def mlp(
  theirs: str, ours: str, names: tuple[str, str] = ("fc1", "fc2")
) -> Table:
  """The two linear layers of an MLP; `names` are theirs."""
  first, second = names
  return [
    *dense(f"{theirs}.{first}", f"{ours}/fc1"),
    *dense(f"{theirs}.{second}", f"{ours}/fc2"),
  ]


def swiglu(theirs: str, ours: str, names: tuple[str, str]) -> Table:
  """A SwiGLU of two linear layers: (gate, up) as one, and down."""
  both = lambda leaf: (f"{ours}/gate/{leaf}", f"{ours}/up/{leaf}")
  first, second = names
  return [
    table.Rule(
      theirs=f"{theirs}.{first}.weight", ours=both("kernel"), op=ops.LINEAR
    ),
    table.Rule(theirs=f"{theirs}.{first}.bias", ours=both("bias")),
    *dense(f"{theirs}.{second}", f"{ours}/down"),
  ]


def layer_scales(theirs: str, ours: str, leaf: str = "") -> Table:
  """Both LayerScales of a block, "<theirs>1<leaf>" and "<theirs>2<leaf>"."""
  return [
    table.Rule(theirs=f"{theirs}{n}{leaf}", ours=f"{ours}/ls{n}/gamma")
    for n in (1, 2)
  ]


def qv_biases(
  theirs: str, ours: str, names: tuple[str, str] = ("q_bias", "v_bias")
) -> Table:
  """Biases of an attention whose k has none; `names` are theirs."""
  return [
    table.Rule(theirs=f"{theirs}.{a}", ours=f"{ours}/{b}")
    for a, b in zip(names, ("q_bias", "v_bias"), strict=True)
  ]


def block(
  theirs: str, ours: str, qkv_bias: bool = True, gated: bool = False
) -> Table:
  """A pre-norm block of timm; q, k and v are one matrix there too.

  Args:
    theirs: name of the block, "blocks.{i}".
    ours: name of the stack, "encoder/blocks/layers".
    qkv_bias: q, k and v have biases.
    gated: a SwiGLU is its MLP (DINOv2's names).
  """
  name = (f"{theirs}.mlp", f"{ours}/mlp")
  return [
    *norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *dense(f"{theirs}.attn.qkv", f"{ours}/attn/qkv", bias=qkv_bias),
    *dense(f"{theirs}.attn.proj", f"{ours}/attn/proj"),
    *norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *(swiglu(*name, ("w12", "w3")) if gated else mlp(*name)),
  ]


def beit_block(
  theirs: str, ours: str, qv_bias: bool = True, layer_scale: bool = True
) -> Table:
  """A block of BEiT's authors: k has no bias, LayerScales are "gamma_1", 2."""
  rules = block(theirs, ours, qkv_bias=False)
  if qv_bias:
    rules += qv_biases(f"{theirs}.attn", f"{ours}/attn")
  if layer_scale:
    rules += layer_scales(f"{theirs}.gamma_", ours)
  return rules


def hf_block(
  theirs: str, ours: str, qkv_bias: bool = True, inner: str = "attention"
) -> Table:
  """A block of Transformers' ViT; q, k and v are apart there.

  Args:
    theirs: name of the block.
    ours: name of the stack.
    qkv_bias: q, k and v have biases.
    inner: name of the attention without its projection.
  """
  attention = f"{theirs}.attention"
  qkv = [f"{attention}.{inner}.{n}" for n in QKV]
  return [
    *norm(f"{theirs}.layernorm_before", f"{ours}/norm1"),
    *fused(qkv, f"{ours}/attn/qkv", bias=qkv_bias),
    *dense(f"{attention}.output.dense", f"{ours}/attn/proj"),
    *norm(f"{theirs}.layernorm_after", f"{ours}/norm2"),
    *dense(f"{theirs}.intermediate.dense", f"{ours}/mlp/fc1"),
    *dense(f"{theirs}.output.dense", f"{ours}/mlp/fc2"),
  ]


def flax_attention(theirs: str, ours: str, heads: int) -> Table:
  """flax's attention: q, k and v apart, heads an axis of their own."""
  inner, outer = ops.flax_heads(heads)
  every = lambda leaf: tuple(f"{theirs}/{n}/{leaf}" for n in QKV)
  qkv, proj = f"{ours}/qkv", f"{ours}/proj"
  return [
    table.Rule(theirs=every("kernel"), ours=f"{qkv}/kernel", op=inner),
    table.Rule(theirs=every("bias"), ours=f"{qkv}/bias", op=inner),
    table.Rule(theirs=f"{theirs}/out/kernel", ours=f"{proj}/kernel", op=outer),
    table.Rule(theirs=f"{theirs}/out/bias", ours=f"{proj}/bias"),
  ]


def flax_block(theirs: str, ours: str, heads: int) -> Table:
  """A pre-norm block of big_vision, with flax's names."""
  attention = f"{theirs}/MultiHeadDotProductAttention_0"
  return [
    *same(f"{theirs}/LayerNorm_0", f"{ours}/norm1", *NORM),
    *flax_attention(attention, f"{ours}/attn", heads),
    *same(f"{theirs}/LayerNorm_1", f"{ours}/norm2", *NORM),
    *same(f"{theirs}/MlpBlock_0/Dense_0", f"{ours}/mlp/fc1", *DENSE),
    *same(f"{theirs}/MlpBlock_0/Dense_1", f"{ours}/mlp/fc2", *DENSE),
  ]


def stem(model: vit.ViT, prefix: str = "") -> Table:
  """What timm's ViT has around its blocks, but for registers.

  Fixed positions are checked against our table; learned ones are a parameter.

  Args:
    model: the ViT.
    prefix: of our names, with its slash ("encoder/").
  """
  ours, conv = f"{prefix}patch_embed/proj", ops.patch_conv(model.patch)
  rules = dense("patch_embed.proj", ours, op=conv, bias=model.patch_bias)
  if model.positions == "sincos":
    rows = posemb.sincos_2d(
      model.size.width, model.grid, model.order, prefix=int(model.cls)
    )
    rules.append(table.Constant(theirs="pos_embed", value=rows[None]))
  if model.positions == "learned":
    rules.append(table.Rule(theirs="pos_embed", ours=f"{prefix}pos_embed"))
  if model.cls:
    rules.append(table.Rule(theirs="cls_token", ours=f"{prefix}cls_token"))
  if model.pre_norm:
    rules += norm("norm_pre", f"{prefix}norm_pre")
  if model.final_norm:
    rules += norm("norm", f"{prefix}norm")
  return rules


def encoder(model: vit.ViT, prefix: str = "") -> Table:
  """timm's ViT, and DINO's and DINOv2's; see `stem`."""
  style, ours = dict(model.style), f"{prefix}blocks/layers"
  bias, gated = bool(style.get("qkv_bias", True)), style.get("act") == "swiglu"
  rules = stem(model, prefix)
  rules += block("blocks.{i}", ours, qkv_bias=bias, gated=gated)
  if model.layer_scale:
    rules += layer_scales("blocks.{i}.ls", ours, ".gamma")
  return rules


def beit_encoder(model: vit.ViT, prefix: str = "") -> Table:
  """The ViT of BEiT's authors, with its biases by relative position."""
  bias, scaled = bool(model.style["qkv_bias"]), bool(model.layer_scale)
  ours = f"{prefix}blocks/layers"
  rules = stem(model, prefix)
  rules += beit_block("blocks.{i}", ours, qv_bias=bias, layer_scale=scaled)
  return rules + table.placed(relative(model), "", prefix)


def relative(model: vit.ViT) -> Table:
  """BEiT's biases by relative position, and their fixed indices."""
  name = "relative_position_bias_table"
  if model.relative:  # one table for all blocks
    rule = table.Rule(theirs=f"rel_pos_bias.{name}", ours="rel_pos_bias/table")
    owners = ["rel_pos_bias"]
  elif "window" in model.style:  # one table in each
    ours = "blocks/layers/relative/table"
    rule = table.Rule(theirs=f"blocks.{{i}}.attn.{name}", ours=ours)
    owners = [f"blocks.{i}.attn" for i in range(model.size.depth)]
  else:
    return []
  index = posemb.relative_index(model.grid, 1)
  return [rule] + [
    table.Constant(theirs=f"{owner}.relative_position_index", value=index)
    for owner in owners
  ]


def hf_embeddings(model: vit.ViT, theirs: str, ours: str) -> Table:
  """Patches, class token, registers and positions of Transformers' ViTs."""
  rules = dense(
    f"{theirs}.patch_embeddings.projection",
    f"{ours}/patch_embed/proj",
    op=ops.patch_conv(model.patch),
    bias=model.patch_bias,
  )
  names = {"register_tokens": "register_tokens"} if model.registers else {}
  if model.cls:
    names["cls_token"] = "cls_token"
  if model.positions == "learned":
    names["position_embeddings"] = "pos_embed"
  return rules + [
    table.Rule(theirs=f"{theirs}.{a}", ours=f"{ours}/{b}")
    for a, b in names.items()
  ]


def clip(patch: int, theirs: str = "clip_model.") -> Table:
  """A CLIP vision tower of Transformers, without its last norm.

  Args:
    patch: side of a patch in pixels.
    theirs: prefix of their names ("vision_model." in their checkpoints).
  """
  stem_, conv = f"{theirs}embeddings", ops.patch_conv(patch)
  token, rows = f"{stem_}.class_embedding", f"{stem_}.position_embedding.weight"
  return [
    table.Rule(theirs=token, ours="cls_token", op=ops.VECTOR),
    table.Rule(theirs=rows, ours="pos_embed", op=ops.MATRIX),
    *dense(f"{stem_}.patch_embedding", "patch_embed/proj", conv, bias=False),
    *norm(f"{theirs}pre_layrnorm", "norm_pre"),
    *clip_blocks(theirs),
  ]


def clip_blocks(theirs: str) -> Table:
  """The blocks of either tower of CLIP in Transformers.

  Args:
    theirs: prefix of their names ("text_model.").
  """
  layer, ours = f"{theirs}encoder.layers.{{i}}", "blocks/layers"
  attention = f"{layer}.self_attn"
  return [
    *fused([f"{attention}.{n}_proj" for n in "qkv"], f"{ours}/attn/qkv"),
    *dense(f"{attention}.out_proj", f"{ours}/attn/proj"),
    *norm(f"{layer}.layer_norm1", f"{ours}/norm1"),
    *norm(f"{layer}.layer_norm2", f"{ours}/norm2"),
    *mlp(f"{layer}.mlp", f"{ours}/mlp"),
  ]
