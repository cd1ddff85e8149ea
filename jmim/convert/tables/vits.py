"""Tables of plain ViTs in the layouts of other libraries.

All are for `supervised.backbone`, whose leaves are below "encoder/" and
"head/". Names are those of the files on the Hugging Face hub.
"""

import einops
import numpy as np

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.convert.tables import maskalign
from jmim.methods.supervised import backbone

Table = list[table.Rule | table.Constant]
ENCODER, HEAD = "encoder", "head"


def head(theirs: str, bias: bool = True) -> Table:
  """The classifier."""
  rules = mae.dense(theirs, f"{HEAD}/out")
  return rules if bias else rules[:1]


def separate(theirs: str, ours: str, names: tuple[str, ...]) -> Table:
  """Separate q, k, v with bias, at our fused one."""
  every = lambda leaf: tuple(f"{theirs}.{n}.{leaf}" for n in names)
  return [
    table.Rule(theirs=every("weight"), ours=f"{ours}/kernel", op=table.LINEAR),
    table.Rule(theirs=every("bias"), ours=f"{ours}/bias"),
  ]


def packed(theirs: str, names: tuple[str, str], ours: str) -> Table:
  """A SwiGLU whose gate and up are one matrix; `names` of the two matrices."""
  both = lambda leaf: (f"{ours}/gate/{leaf}", f"{ours}/up/{leaf}")
  first, second = (f"{theirs}.{n}" for n in names)
  return [
    table.Rule(theirs=f"{first}.weight", ours=both("kernel"), op=table.LINEAR),
    table.Rule(theirs=f"{first}.bias", ours=both("bias")),
    *mae.dense(second, f"{ours}/down"),
  ]


def timm(method: backbone.Backbone) -> Table:
  """timm's VisionTransformer, DINO's and DINOv2's own."""
  theirs, ours = "blocks.{i}", f"{ENCODER}/blocks/layers"
  rules = [
    r
    for r in mae.encoder(method.encoder, method.channels, f"{ENCODER}/")
    if method.qkv_bias or not r.theirs.endswith("qkv.bias")
  ]
  if not method.patch_bias:
    rules = [r for r in rules if r.theirs != "patch_embed.proj.bias"]
  if method.pre_norm:
    rules += mae.norm("norm_pre", f"{ENCODER}/norm_pre")
  if method.act == "swiglu":
    rules = [r for r in rules if ".mlp." not in r.theirs]
    rules += packed(f"{theirs}.mlp", ("w12", "w3"), f"{ours}/mlp")
  if method.layer_scale:
    rules += [
      table.Rule(theirs=f"{theirs}.ls{i}.gamma", ours=f"{ours}/ls{i}/gamma")
      for i in (1, 2)
    ]
  return rules


def timm_classifier(method: backbone.Backbone) -> Table:
  """timm: registers are "reg_token"; `head_norm` is its "fc_norm"."""
  rules = timm(method)
  if method.registers:
    rules.append(
      table.Rule(theirs="reg_token", ours=f"{ENCODER}/register_tokens")
    )
  if method.head_norm:
    rules += mae.norm("fc_norm", f"{HEAD}/norm")
  return rules + head("head", method.head_bias)


def dinov2(method: backbone.Backbone) -> Table:
  """The authors' DINO and DINOv2, which have no classifier."""
  rules = timm(method)
  if method.registers:
    name = f"{ENCODER}/register_tokens"
    rules.append(table.Rule(theirs="register_tokens", ours=name))
  return rules


def transformers_embeddings(method, theirs: str) -> Table:
  """Patches, class token, registers, positions of Transformers."""
  proj, ours = "patch_embeddings.projection", f"{ENCODER}/patch_embed/proj"
  conv = table.patch_conv(method.channels)
  rules: Table = [
    table.Rule(
      theirs=f"{theirs}.{proj}.weight", ours=f"{ours}/kernel", op=conv
    ),
    table.Rule(theirs=f"{theirs}.{proj}.bias", ours=f"{ours}/bias"),
  ]
  if method.positions == "learned":
    name = f"{ENCODER}/pos_embed"
    rules.append(table.Rule(theirs=f"{theirs}.position_embeddings", ours=name))
  if method.cls:
    rules.append(
      table.Rule(theirs=f"{theirs}.cls_token", ours=f"{ENCODER}/cls_token")
    )
  if method.registers:
    name = f"{ENCODER}/register_tokens"
    rules.append(table.Rule(theirs=f"{theirs}.register_tokens", ours=name))
  return rules


QKV = ("query", "key", "value")


def transformers_blocks(theirs: str, ours: str, bias: bool = True) -> Table:
  """Blocks of ViT, ViTMAE and I-JEPA in Transformers."""
  qkv = separate(f"{theirs}.attention.attention", f"{ours}/attn/qkv", QKV)
  return [
    *(qkv if bias else qkv[:1]),
    *mae.dense(f"{theirs}.attention.output.dense", f"{ours}/attn/proj"),
    *mae.norm(f"{theirs}.layernorm_before", f"{ours}/norm1"),
    *mae.norm(f"{theirs}.layernorm_after", f"{ours}/norm2"),
    *mae.dense(f"{theirs}.intermediate.dense", f"{ours}/mlp/fc1"),
    *mae.dense(f"{theirs}.output.dense", f"{ours}/mlp/fc2"),
  ]


def transformers_vit(method: backbone.Backbone, stem: str = "vit.") -> Table:
  """ViTForImageClassification, and IJepaForImageClassification."""
  return [
    *transformers_embeddings(method, f"{stem}embeddings"),
    *transformers_blocks(
      f"{stem}encoder.layer.{{i}}", f"{ENCODER}/blocks/layers", method.qkv_bias
    ),
    *mae.norm(f"{stem}layernorm", f"{ENCODER}/norm"),
    *head("classifier"),
  ]


def transformers_ijepa(method: backbone.Backbone) -> Table:
  """IJepaForImageClassification."""
  return transformers_vit(method, "ijepa.")


def transformers_dinov2(method: backbone.Backbone) -> Table:
  """Dinov2ForImageClassification, with or without registers."""
  stem = "dinov2_with_registers." if method.registers else "dinov2."
  theirs = f"{stem}encoder.layer.{{i}}"
  ours = f"{ENCODER}/blocks/layers"
  qkv = separate(f"{theirs}.attention.attention", f"{ours}/attn/qkv", QKV)
  token = np.zeros((1, method.encoder.size.width), np.float32)
  return [
    *transformers_embeddings(method, f"{stem}embeddings"),
    table.Constant(
      theirs=f"{stem}embeddings.mask_token", value=token, unused=True
    ),
    *(qkv if method.qkv_bias else qkv[:1]),
    *mae.dense(f"{theirs}.attention.output.dense", f"{ours}/attn/proj"),
    *(
      rule
      for i in (1, 2)
      for rule in (
        *mae.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}"),
        table.Rule(
          theirs=f"{theirs}.layer_scale{i}.lambda1", ours=f"{ours}/ls{i}/gamma"
        ),
      )
    ),
    *_dinov2_mlp(method, f"{theirs}.mlp", f"{ours}/mlp"),
    *mae.norm(f"{stem}layernorm", f"{ENCODER}/norm"),
    *head("classifier"),
  ]


def _dinov2_mlp(method, theirs: str, ours: str) -> Table:
  if method.act == "swiglu":
    return packed(theirs, ("weights_in", "weights_out"), ours)
  return [
    *mae.dense(f"{theirs}.fc1", f"{ours}/fc1"),
    *mae.dense(f"{theirs}.fc2", f"{ours}/fc2"),
  ]


def transformers_clip(method: backbone.Backbone) -> Table:
  """CLIPVisionModelWithProjection; the projection is our head."""
  clip = maskalign.clip(method, "vision_model.")
  return [
    *table.placed(clip, "", f"{ENCODER}/"),
    *mae.norm("vision_model.post_layernorm", f"{ENCODER}/norm"),
    *head("visual_projection", bias=False),
  ]


def open_clip(method: backbone.Backbone) -> Table:
  """The image tower of OpenAI's CLIP and of OpenCLIP."""
  theirs = "visual.transformer.resblocks.{i}"
  ours, linear = f"{ENCODER}/blocks/layers", table.LINEAR
  qkv, conv = f"{ours}/attn/qkv", table.patch_conv(method.channels)
  proj = f"{ENCODER}/patch_embed/proj/kernel"
  vector, matrix = maskalign.VECTOR, maskalign.MATRIX
  return [
    table.Rule(
      theirs="visual.class_embedding", ours=f"{ENCODER}/cls_token", op=vector
    ),
    table.Rule(
      theirs="visual.positional_embedding",
      ours=f"{ENCODER}/pos_embed",
      op=matrix,
    ),
    table.Rule(theirs="visual.conv1.weight", ours=proj, op=conv),
    *mae.norm("visual.ln_pre", f"{ENCODER}/norm_pre"),
    table.Rule(
      theirs=f"{theirs}.attn.in_proj_weight", ours=f"{qkv}/kernel", op=linear
    ),
    table.Rule(theirs=f"{theirs}.attn.in_proj_bias", ours=f"{qkv}/bias"),
    *mae.dense(f"{theirs}.attn.out_proj", f"{ours}/attn/proj"),
    *mae.norm(f"{theirs}.ln_1", f"{ours}/norm1"),
    *mae.norm(f"{theirs}.ln_2", f"{ours}/norm2"),
    *mae.dense(f"{theirs}.mlp.c_fc", f"{ours}/mlp/fc1"),
    *mae.dense(f"{theirs}.mlp.c_proj", f"{ours}/mlp/fc2"),
    *mae.norm("visual.ln_post", f"{ENCODER}/norm"),
    table.Rule(theirs="visual.proj", ours=f"{HEAD}/out/kernel"),
  ]


def big_vision(method: backbone.Backbone) -> Table:
  """google-research/big_vision, pool "tok" or "gap"; names of its .npz."""
  ours, heads = f"{ENCODER}/blocks/layers", method.encoder.size.heads
  theirs = "Transformer/encoderblock_{i}"
  attention = f"{theirs}/MultiHeadDotProductAttention_0"
  inner = table.Op(
    lambda x: x.reshape(*x.shape[: x.ndim - 2], -1),
    lambda x: x.reshape(*x.shape[:-1], heads, -1),
  )
  outer = table.Op(
    lambda x: einops.rearrange(x, "h d w -> (h d) w"),
    lambda x: einops.rearrange(x, "(h d) w -> h d w", h=heads),
  )
  qkv = lambda leaf: tuple(f"{attention}/{n}/{leaf}" for n in QKV)
  c, dense, norm = method.channels, ("kernel", "bias"), ("scale", "bias")
  same = lambda a, b, leaves: [
    table.Rule(theirs=f"{a}/{n}", ours=f"{b}/{n}") for n in leaves
  ]
  rules: Table = [
    table.Rule(
      theirs="embedding/kernel",
      ours=f"{ENCODER}/patch_embed/proj/kernel",
      op=_patch(c),
    ),
    table.Rule(
      theirs="embedding/bias", ours=f"{ENCODER}/patch_embed/proj/bias"
    ),
    table.Rule(theirs="pos_embedding", ours=f"{ENCODER}/pos_embed"),
    *same(f"{theirs}/LayerNorm_0", f"{ours}/norm1", norm),
    *same(f"{theirs}/LayerNorm_1", f"{ours}/norm2", norm),
    *same(f"{theirs}/MlpBlock_0/Dense_0", f"{ours}/mlp/fc1", dense),
    *same(f"{theirs}/MlpBlock_0/Dense_1", f"{ours}/mlp/fc2", dense),
    table.Rule(theirs=qkv("kernel"), ours=f"{ours}/attn/qkv/kernel", op=inner),
    table.Rule(theirs=qkv("bias"), ours=f"{ours}/attn/qkv/bias", op=inner),
    table.Rule(
      theirs=f"{attention}/out/kernel",
      ours=f"{ours}/attn/proj/kernel",
      op=outer,
    ),
    table.Rule(theirs=f"{attention}/out/bias", ours=f"{ours}/attn/proj/bias"),
    *same("Transformer/encoder_norm", f"{ENCODER}/norm", norm),
    *same("head", f"{HEAD}/out", dense),
  ]
  if method.cls:
    rules.append(table.Rule(theirs="cls", ours=f"{ENCODER}/cls_token"))
  return rules


def _patch(channels: int) -> table.Op:
  """Flax convolution [p, p, c, d] <-> linear [(p p c), d]."""

  def to_theirs(x):
    p = round(np.sqrt(len(x) / channels))
    return einops.rearrange(x, "(p q c) d -> p q c d", p=p, c=channels)

  return table.Op(
    lambda x: einops.rearrange(x, "p q c d -> (p q c) d"), to_theirs
  )
