"""Families of weights of plain ViTs: those that `supervised.backbone` holds."""

from jmim.convert import family
from jmim.convert.tables import beit
from jmim.convert.tables import configs
from jmim.convert.tables import dinov3
from jmim.convert.tables import timm
from jmim.convert.tables import vits

Family = family.Family
BACKBONE = ("supervised.backbone",)


def _plain(method) -> str | None:
  return "act='swiglu'" if method.act == "swiglu" else None


def _has_scale(method) -> str | None:
  if not configs.dinov2_ratio(method):
    return "mlp_ratio is a whole number there, before SwiGLU's two thirds"
  return None if method.layer_scale else "layer_scale=0, which is there"


def _registers(method) -> str | None:
  return None if method.registers else "registers=0, which are there"


def _dino(method) -> str | None:
  return (
    "registers without LayerScale"
    if (method.registers and not method.layer_scale)
    else None
  )


def _timm(method) -> str | None:
  """What timm's VisionTransformer cannot be told in a config.json."""
  if method.act == "swiglu":
    return "act='swiglu'; --format=authors writes DINOv2's"
  if method.pool == "cls_mean":
    return "pool='cls_mean', which is 'cls' or 'mean' there"
  if method.patch_bias == method.pre_norm:
    return "patch_bias must be the opposite of pre_norm there"
  if method.final_norm == method.head_norm:
    return "one norm, final_norm or head_norm, is there"
  return None


VIT = dict(
  positions="learned",
  pre_norm=False,
  patch_bias=True,
  final_norm=True,
  head_norm=False,
  head_bias=True,
  key_bias=True,
  relative="none",
)
ROTARY = VIT | dict(positions="rotary", cls=True)
del ROTARY["key_bias"]
CLIP = VIT | dict(
  pre_norm=True,
  patch_bias=False,
  head_bias=False,
  pool="cls",
  cls=True,
  registers=0,
  layer_scale=0.0,
  qkv_bias=True,
)
BEIT = dict(
  cls=True,
  registers=0,
  pre_norm=False,
  patch_bias=True,
  head_bias=True,
  key_bias=False,
)
HEAD = ("^params/main/head/",)

FAMILIES: dict[str, Family] = {
  "dinov2": Family(  # and DINO, without LayerScale
    library="authors",
    methods=BACKBONE,
    table=family.main(vits.dinov2),
    containers=(
      "teacher.backbone.",
      "teacher.module.backbone.",
      "state_dict.",
      "",
    ),
    ignored=("^mask_token$", "^head\\."),
    optional=HEAD,
    left_out=HEAD,
    fixed=VIT | {"cls": True},
    wants=_dino,
  ),
  "open_clip": Family(
    library="authors",
    methods=BACKBONE,
    table=family.main(vits.open_clip),
    containers=("state_dict.", "module.", ""),
    ignored=(
      r"^(transformer|token_embedding|ln_final|text)\b",
      "^(positional_embedding|text_projection|logit_scale|logit_bias)$",
      "^(input_resolution|context_length|vocab_size)$",
    ),
    fixed=CLIP,
    wants=_plain,
  ),
  "hf_vit": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(vits.transformers_vit),
    containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"vit.\1."),),
    ignored=(r"(^|\.)pooler\.",),
    optional=HEAD,
    fixed=VIT | dict(cls=True, registers=0, layer_scale=0.0, pool="cls"),
    wants=_plain,
    read_config=configs.read_vit,
    write_config=configs.write_vit,
  ),
  "hf_ijepa": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(vits.transformers_ijepa),
    containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"ijepa.\1."),),
    ignored=(r"(^|\.)pooler\.", r"mask_token$"),
    optional=HEAD,
    fixed=VIT | dict(cls=False, registers=0, layer_scale=0.0, pool="mean"),
    wants=_plain,
    read_config=configs.read_ijepa,
    write_config=configs.write_ijepa,
  ),
  "hf_dinov2": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(vits.transformers_dinov2),
    containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"dinov2.\1."),),
    ignored=(r"mask_token$",),
    optional=HEAD,
    fixed=VIT | dict(cls=True, registers=0, pool="cls_mean"),
    wants=_has_scale,
    read_config=configs.read_dinov2,
    write_config=configs.write_dinov2,
  ),
  "hf_dinov2_with_registers": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(vits.transformers_dinov2),
    containers=("",),
    aliases=(
      (r"^(embeddings|encoder|layernorm)\.", r"dinov2_with_registers.\1."),
    ),
    ignored=(r"mask_token$",),
    optional=HEAD,
    fixed=VIT | dict(cls=True, pool="cls_mean"),
    wants=lambda m: _has_scale(m) or _registers(m),
    read_config=configs.read_dinov2,
    write_config=configs.write_dinov2,
  ),
  "hf_clip": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(vits.transformers_clip),
    containers=("",),
    aliases=(
      (
        r"^(embeddings|pre_layrnorm|encoder|post_layernorm)\b",
        r"vision_model.\1",
      ),
    ),
    ignored=(r"^text_", r"^logit_scale$", r"position_ids$"),
    optional=HEAD,
    fixed=CLIP,
    wants=_plain,
    read_config=configs.read_clip,
    write_config=configs.write_clip,
  ),
  "timm_vit": Family(
    library="timm",
    methods=BACKBONE,
    table=family.main(vits.timm_classifier),
    optional=HEAD,
    fixed=dict(
      positions="learned",
      registers=0,
      head_bias=True,
      eps=1e-6,
      key_bias=True,
      relative="none",
    ),
    wants=_timm,
    read_config=timm.read,
    write_config=timm.write,
  ),
  "big_vision": Family(
    library="big_vision",
    methods=BACKBONE,
    table=family.main(vits.big_vision),
    containers=("params/img/", "params/", ""),
    optional=HEAD,
    aliases=(
      ("^Transformer/posembed_input/pos_embedding$", "pos_embedding"),
      ("MultiHeadDotProductAttention_1/", "MultiHeadDotProductAttention_0/"),
      ("/LayerNorm_2/", "/LayerNorm_1/"),
      ("/MlpBlock_3/", "/MlpBlock_0/"),
    ),
    ignored=("^pre_logits/",),
    fixed=VIT | dict(registers=0, layer_scale=0.0, qkv_bias=True),
    wants=lambda m: (
      _plain(m)
      if m.pool in ("cls", "mean")
      else "pool is 'cls' or 'mean' there"
    ),
  ),
  # With biases by relative position.
  "beit": Family(
    library="authors",
    methods=BACKBONE,
    table=family.main(beit.authors),
    optional=HEAD,
    ignored=(r"relative_position_index$", "^mask_token$", r"^lm_head\."),
    fixed=BEIT,
    wants=beit.objection,
  ),
  "hf_beit": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(beit.transformers),
    containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm|pooler)\.", r"beit.\1."),),
    ignored=(r"relative_position_index$", r"mask_token$", r"^lm_head\."),
    optional=HEAD,
    fixed=BEIT | {"qkv_bias": True},
    wants=beit.objection,
    read_config=beit.read_transformers,
    write_config=beit.write_transformers,
  ),
  "timm_beit": Family(
    library="timm",
    methods=BACKBONE,
    table=family.main(beit.timm),
    optional=HEAD,
    ignored=(r"relative_position_index$",),
    fixed=BEIT | {"eps": 1e-6},
    wants=beit.objection,
    read_config=beit.read_timm,
    write_config=beit.write_timm,
  ),
  # With rotary positions.
  "dinov3": Family(
    library="authors",
    methods=BACKBONE,
    table=family.main(dinov3.authors),
    containers=("teacher.backbone.", "model.", ""),
    ignored=(
      "^mask_token$",
      r"^rope_embed\.",
      r"bias_mask$",
      r"^local_cls_norm\.",
    ),
    optional=HEAD,
    left_out=HEAD,
    fixed=ROTARY,
    wants=dinov3.authors_objection,
  ),
  "hf_dinov3": Family(
    library="hf",
    methods=BACKBONE,
    table=family.main(dinov3.transformers),
    containers=("",),
    aliases=((r"^model\.layer\.", "layer."),),
    ignored=(r"mask_token$",),
    optional=HEAD,
    left_out=HEAD,
    fixed=ROTARY,
    wants=dinov3.objection,
    read_config=dinov3.read,
    write_config=dinov3.write,
  ),
}
