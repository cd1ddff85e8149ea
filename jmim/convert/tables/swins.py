"""Families of Swin weights; SimMIM's own file is in `families`."""

from jmim.convert import family
from jmim.convert.tables import hf_swin
from jmim.convert.tables import swin

Family = family.Family
CLASSIFIER = ("supervised.swin",)
TABLES = (r"relative_position_index$", r"attn_mask$")

FAMILIES: dict[str, Family] = {
  "swin": Family(
    library="authors",
    methods=CLASSIFIER,
    table=family.main(swin.classifier),
    ignored=TABLES,
    optional=("^params/main/head/",),
  ),
  "hf_swin": Family(
    library="hf",
    methods=("mim.simmim",),
    table=family.main(hf_swin.full),
    containers=("",),
    ignored=(r"relative_position_index$", r"^(swin\.)?pooler\."),
    optional=("^params/main/head/",),
    fixed=dict(windowed=True, positions="none", patch_norm=True),
    read_config=hf_swin.read,
    write_config=hf_swin.write,
  ),
  "hf_swin_classifier": Family(
    library="hf",
    methods=CLASSIFIER,
    table=family.main(hf_swin.classifier),
    containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"swin.\1."),),
    ignored=(*TABLES, r"(^|\.)pooler\.", r"mask_token$"),
    optional=("^params/main/head/",),
    fixed=dict(patch_norm=True),
    read_config=hf_swin.read_classifier,
    write_config=hf_swin.write_classifier,
  ),
  "timm_swin": Family(
    library="timm",
    methods=(*CLASSIFIER, "mim.simmim"),
    table=family.main(swin.timm),
    ignored=TABLES,
    optional=("^params/main/head/out/",),
    left_out=(
      "^params/main/head/(kernel|bias)$",
      "^params/main/encoder/mask_token$",
    ),
    wants=swin.objection,
    read_config=swin.read_timm,
    write_config=swin.write_timm,
  ),
}
