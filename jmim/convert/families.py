"""All families of weights, by the name that `--from` takes."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import table as tables
from jmim.convert.tables import backbones
from jmim.convert.tables import cae
from jmim.convert.tables import configs
from jmim.convert.tables import cropmae
from jmim.convert.tables import dit
from jmim.convert.tables import dit_moe
from jmim.convert.tables import dmae
from jmim.convert.tables import ijepa
from jmim.convert.tables import latent
from jmim.convert.tables import lightningdit
from jmim.convert.tables import mae
from jmim.convert.tables import maskalign
from jmim.convert.tables import simmim
from jmim.convert.tables import swins
from jmim.convert.tables import timm
from jmim.convert.tables import transformers as hf
from jmim.convert.tables import umd
from jmim.convert.tables import videomae_v2
from jmim.core import errors

Family = family.Family
MAIN = family.MAIN


def _ijepa(method) -> tables.Table:
  """Context encoder, predictor and momentum encoder."""
  own = ijepa.encoder(method)
  return [
    *tables.placed(own, "encoder.", f"{MAIN}encoder/"),
    *tables.placed(ijepa.predictor(method), "predictor.", MAIN),
    *tables.placed(own, "target_encoder.", "extra/target/"),
  ]


def _timm_mae(method) -> tables.Table:
  return mae.encoder(method.encoder, method.channels, "encoder/")


FAMILIES: dict[str, Family] = {
  # The authors' own files.
  "mae": Family(
    library="authors",
    methods=("mim.mae", "mim.colormae"),
    table=family.main(mae.full),
    optional=("^params/main/decoder/",),
    ignored=("^(head|fc_norm)\\.",),
  ),
  "mae_finetuned": Family(
    library="authors",
    methods=("supervised.finetune",),
    table=family.main(mae.classifier),
  ),
  "simmim": Family(
    library="authors",
    methods=("mim.simmim",),
    table=family.main(simmim.full),
    ignored=("relative_position_index$", "attn_mask$"),
  ),
  "cae": Family(
    library="authors", methods=("mim.cae",), table=family.main(cae.full)
  ),
  "cropmae": Family(
    library="authors", methods=("mim.cropmae",), table=family.main(cropmae.full)
  ),
  "dmae": Family(
    library="authors",
    methods=("distill.dmae",),
    table=family.main(dmae.student),
  ),
  "maskalign": Family(
    library="authors",
    methods=("distill.maskalign",),
    table=family.main(maskalign.student),
  ),
  "ijepa": Family(
    library="authors",
    methods=("mim.ijepa",),
    table=_ijepa,
    containers=("",),
    aliases=((r"^((?:target_)?encoder|predictor)\.module\.", r"\1."),),
    ignored=("^(opt|scaler)\\.",),
  ),
  "videomae_v2": Family(
    library="authors",
    methods=("video.videomae_v2",),
    table=family.main(videomae_v2.full),
  ),
  "dit": Family(
    library="authors",
    methods=("diffusion.dit",),
    table=family.main(dit.full),
    containers=("ema.", "model.", ""),
  ),
  "dit_moe": Family(
    library="authors",
    methods=("diffusion.dit_moe",),
    table=family.main(dit_moe.full),
    containers=("ema.", "model.", ""),
  ),
  "lightningdit": Family(
    library="authors",
    methods=("diffusion.lightningdit",),
    table=family.main(lightningdit.full),
    containers=("ema.", "model.", ""),
    aliases=((r"^module\.", ""),),
  ),
  "sit": Family(
    library="authors",
    methods=("diffusion.lightningdit",),
    table=family.main(lightningdit.sit),
    containers=("ema.", "model.", ""),
    fixed={"spare": True},
    wants=lightningdit.is_sit,
  ),
  "umd": Family(
    library="authors",
    methods=("diffusion.umd", "diffusion.maskdit"),
    table=family.main(umd.full),
    containers=("params/", ""),
  ),
  # Transformers and Diffusers.
  "hf_vit_mae": Family(
    library="hf",
    methods=("mim.mae",),
    table=family.main(hf.vit_mae),
    containers=("",),
    aliases=(
      (r"^decoder\.decoder_encoder\.layer\.", "decoder.decoder_layers."),
      (r"^(embeddings|encoder|layernorm)\.", r"vit.\1."),
    ),
    optional=("^params/main/decoder/",),
    read_config=configs.read_vit_mae,
    write_config=configs.write_vit_mae,
  ),
  "hf_videomae": Family(
    library="hf",
    methods=("video.videomae_v2",),
    table=family.main(hf.videomae),
    containers=("",),
    aliases=(
      (r"attention\.query\.bias$", "attention.q_bias"),
      (r"attention\.value\.bias$", "attention.v_bias"),
    ),
    fixed=dict(cosine=False, layer_scale=0.0, decoder_ratio=0.0),
    wants=lambda m: (
      None if m.encoder.size.mlp_ratio == 4.0 else "mlp_ratio is 4 there"
    ),
    read_config=configs.read_videomae,
    write_config=configs.write_videomae,
  ),
  "diffusers_dit": Family(
    library="hf",
    methods=("diffusion.dit",),
    table=family.main(hf.dit),
    containers=("",),
    ignored=(r"^pos_embed\.pos_embed$",),
    wants=lambda m: (
      None
      if m.classes and m.net_size.mlp_ratio == 4.0
      else "it has labels and mlp_ratio=4"
    ),
    read_config=configs.read_dit,
    write_config=configs.write_dit,
  ),
  "timm_mae": Family(
    library="timm",
    methods=("mim.mae", "mim.colormae"),
    table=family.main(_timm_mae),
    optional=("^params/main/decoder/",),
    left_out=("^params/main/decoder/",),
    ignored=("^(head|fc_norm)\\.",),
    write_config=timm.write,
  ),
  **backbones.FAMILIES,
  **swins.FAMILIES,
  **latent.FAMILIES,
}

# `architectures`, `model_type` or `_class_name` of a config.json -> family.
MODEL_TYPES = {
  "vit": "hf_vit",
  "ijepa": "hf_ijepa",
  "dinov2": "hf_dinov2",
  "dinov3_vit": "hf_dinov3",
  "beit": "hf_beit",
  "dinov2_with_registers": "hf_dinov2_with_registers",
  "clip": "hf_clip",
  "clip_vision_model": "hf_clip",
  "vit_mae": "hf_vit_mae",
  "videomae": "hf_videomae",
  "swin": "hf_swin",
  "SwinForImageClassification": "hf_swin_classifier",
  "DiTTransformer2DModel": "diffusers_dit",
  "AutoencoderKL": "diffusers_vae",
  "VQModel": "diffusers_vq",
}
# First word of the `architecture` of a config.json of timm -> family.
TIMM = {
  "vit": "timm_vit",
  "swin": "timm_swin",
  "beit": "timm_beit",
  "beitv2": "timm_beit",
}


def told(config: Mapping[str, Any]) -> str:
  """The family that a library's config.json tells; "": none."""
  if "architecture" in config and "num_features" in config:
    return TIMM.get(config["architecture"].partition("_")[0], "")
  for key in (
    *config.get("architectures", ()),
    config.get("model_type"),
    config.get("_class_name"),
  ):
    if key in MODEL_TYPES:
      return MODEL_TYPES[key]
  return ""


def find(name: str) -> Family:
  """The family of a name.

  Raises:
    UserError: there is none; the known ones are listed.
  """
  if name not in FAMILIES:
    raise errors.UserError(
      f"--from={name}",
      "one of " + ", ".join(FAMILIES),
      "name one of these",
      "--from",
    )
  return FAMILIES[name]


def for_export(library: str, name: str, method: Any) -> tuple[str, Family]:
  """The family of a library that can hold a method.

  Args:
    library: "authors", "hf", "timm" or "big_vision".
    name: of the method, "mim.mae".
    method: its instance.

  Raises:
    UserError: none can; why, for each.
  """
  reasons = {}
  for key, found in FAMILIES.items():
    if found.library == library:
      why = found.objection(name, method)
      if why is None:
        return key, found
      reasons[key] = why
  near = {k: w for k, w in reasons.items() if name in FAMILIES[k].methods}
  said = "; ".join(f"{k}: {w}" for k, w in (near or reasons).items())
  raise errors.UserError(
    f"--format={library} of {name}: {said}",
    "an architecture that exists there",
    "use --format=safetensors, which holds every method",
    "--format",
  )
