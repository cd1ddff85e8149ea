"""All families of weights, by the name that `--from` takes."""

from collections.abc import Callable
from typing import Any

from jmim.convert import cae
from jmim.convert import configs
from jmim.convert import cropmae
from jmim.convert import dit
from jmim.convert import dit_moe
from jmim.convert import dmae
from jmim.convert import family
from jmim.convert import hf_swin
from jmim.convert import ijepa
from jmim.convert import latent
from jmim.convert import mae
from jmim.convert import maskalign
from jmim.convert import simmim
from jmim.convert import table as tables
from jmim.convert import timm
from jmim.convert import transformers as hf
from jmim.convert import umd
from jmim.convert import videomae_v2
from jmim.convert import vits
from jmim.core import errors

Family = family.Family
MAIN = "params/main/"
BACKBONE = ("supervised.backbone",)


def _main(make: Callable[[Any], tables.Table]) -> Callable:
  """A table of the only player."""
  return lambda method: tables.placed(make(method), "", MAIN)


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


def _has_scale(method) -> str | None:
  if method.encoder.size.mlp_ratio % 1:
    return "mlp_ratio is a whole number there"
  return None if method.layer_scale else "layer_scale=0, which is there"


def _registers(method) -> str | None:
  return None if method.registers else "registers=0, which are there"


def _dino(method) -> str | None:
  return "registers without LayerScale" if (
    method.registers and not method.layer_scale
  ) else None  # fmt: skip


def _timm(method) -> str | None:
  """What timm's VisionTransformer cannot be told in a config.json."""
  if method.pool == "cls_mean":
    return "pool='cls_mean', which is 'cls' or 'mean' there"
  if method.patch_bias == method.pre_norm:
    return "patch_bias must be the opposite of pre_norm there"
  if method.final_norm == method.head_norm:
    return "one norm, final_norm or head_norm, is there"
  return None


VIT = dict(
  positions="learned", pre_norm=False, patch_bias=True, final_norm=True,
  head_norm=False, head_bias=True,
)  # fmt: skip
HEAD = ("^params/main/head/",)

FAMILIES: dict[str, Family] = {
  # The authors' own files.
  "mae": Family(
    "authors", ("mim.mae", "mim.colormae"), _main(mae.full),
    optional=("^params/main/decoder/",), ignored=("^(head|fc_norm)\\.",),
  ),
  "mae_finetuned": Family(
    "authors", ("supervised.finetune",), _main(mae.classifier)
  ),
  "simmim": Family(
    "authors", ("mim.simmim",), _main(simmim.full),
    ignored=("relative_position_index$", "attn_mask$"),
  ),
  "cae": Family("authors", ("mim.cae",), _main(cae.full)),
  "cropmae": Family("authors", ("mim.cropmae",), _main(cropmae.full)),
  "dmae": Family("authors", ("distill.dmae",), _main(dmae.student)),
  "maskalign": Family(
    "authors", ("distill.maskalign",), _main(maskalign.student)
  ),
  "ijepa": Family(
    "authors", ("mim.ijepa",), _ijepa, containers=("",),
    aliases=((r"^((?:target_)?encoder|predictor)\.module\.", r"\1."),),
    ignored=("^(opt|scaler)\\.",),
  ),
  "videomae_v2": Family(
    "authors", ("video.videomae_v2",), _main(videomae_v2.full)
  ),
  "dit": Family(
    "authors", ("diffusion.dit",), _main(dit.full),
    containers=("ema.", "model.", ""),
  ),
  "dit_moe": Family(
    "authors", ("diffusion.dit_moe",), _main(dit_moe.full),
    containers=("ema.", "model.", ""),
  ),
  "umd": Family(
    "authors", ("diffusion.umd", "diffusion.maskdit"), _main(umd.full),
    containers=("params/", ""),
  ),
  "dinov2": Family(  # and DINO, without LayerScale
    "authors", BACKBONE, _main(vits.dinov2),
    containers=(
      "teacher.backbone.", "teacher.module.backbone.", "state_dict.", "",
    ),
    ignored=("^mask_token$", "^head\\."), optional=HEAD, left_out=HEAD,
    fixed=VIT | {"cls": True}, wants=_dino,
  ),
  "open_clip": Family(
    "authors", BACKBONE, _main(vits.open_clip),
    containers=("state_dict.", "module.", ""),
    ignored=(
      r"^(transformer|token_embedding|ln_final|text)\b",
      "^(positional_embedding|text_projection|logit_scale|logit_bias)$",
      "^(input_resolution|context_length|vocab_size)$",
    ),
    fixed=VIT | dict(pre_norm=True, patch_bias=False, head_bias=False,
                     pool="cls", cls=True, registers=0, layer_scale=0.0,
                     qkv_bias=True),
  ),
  # Transformers and Diffusers.
  "hf_vit": Family(
    "hf", BACKBONE, _main(vits.transformers_vit), containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"vit.\1."),),
    ignored=(r"(^|\.)pooler\.",), optional=HEAD,
    fixed=VIT | dict(cls=True, registers=0, layer_scale=0.0, pool="cls"),
    read_config=configs.read_vit, write_config=configs.write_vit,
  ),
  "hf_ijepa": Family(
    "hf", BACKBONE, _main(vits.transformers_ijepa), containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"ijepa.\1."),),
    ignored=(r"(^|\.)pooler\.", r"mask_token$"), optional=HEAD,
    fixed=VIT | dict(cls=False, registers=0, layer_scale=0.0, pool="mean"),
    read_config=configs.read_ijepa, write_config=configs.write_ijepa,
  ),
  "hf_dinov2": Family(
    "hf", BACKBONE, _main(vits.transformers_dinov2), containers=("",),
    aliases=((r"^(embeddings|encoder|layernorm)\.", r"dinov2.\1."),),
    ignored=(r"mask_token$",), optional=HEAD,
    fixed=VIT | dict(cls=True, registers=0, pool="cls_mean"), wants=_has_scale,
    read_config=configs.read_dinov2, write_config=configs.write_dinov2,
  ),
  "hf_dinov2_with_registers": Family(
    "hf", BACKBONE, _main(vits.transformers_dinov2), containers=("",),
    aliases=(
      (r"^(embeddings|encoder|layernorm)\.", r"dinov2_with_registers.\1."),
    ),
    ignored=(r"mask_token$",), optional=HEAD,
    fixed=VIT | dict(cls=True, pool="cls_mean"),
    wants=lambda m: _has_scale(m) or _registers(m),
    read_config=configs.read_dinov2, write_config=configs.write_dinov2,
  ),
  "hf_clip": Family(
    "hf", BACKBONE, _main(vits.transformers_clip), containers=("",),
    aliases=(
      (r"^(embeddings|pre_layrnorm|encoder|post_layernorm)\b",
       r"vision_model.\1"),
    ),
    ignored=(r"^text_", r"^logit_scale$", r"position_ids$"), optional=HEAD,
    fixed=VIT | dict(pre_norm=True, patch_bias=False, head_bias=False,
                     pool="cls", cls=True, registers=0, layer_scale=0.0,
                     qkv_bias=True),
    read_config=configs.read_clip, write_config=configs.write_clip,
  ),
  "hf_vit_mae": Family(
    "hf", ("mim.mae",), _main(hf.vit_mae), containers=("",),
    aliases=(
      (r"^decoder\.decoder_encoder\.layer\.",
                "decoder.decoder_layers."),
      (r"^(embeddings|encoder|layernorm)\.", r"vit.\1."),
    ),
    optional=("^params/main/decoder/",),
    read_config=configs.read_vit_mae, write_config=configs.write_vit_mae,
  ),
  "hf_videomae": Family(
    "hf", ("video.videomae_v2",), _main(hf.videomae), containers=("",),
    aliases=((r"attention\.query\.bias$", "attention.q_bias"),
             (r"attention\.value\.bias$", "attention.v_bias")),
    fixed=dict(cosine=False, layer_scale=0.0, decoder_ratio=0.0),
    wants=lambda m: None if m.encoder.size.mlp_ratio == 4.0
    else "mlp_ratio is 4 there",
    read_config=configs.read_videomae, write_config=configs.write_videomae,
  ),
  "hf_swin": Family(
    "hf", ("mim.simmim",), _main(hf_swin.full), containers=("",),
    ignored=(r"relative_position_index$", r"^(swin\.)?pooler\."),
    optional=("^params/main/head/",),
    fixed=dict(windowed=True, positions="none", patch_norm=True),
    read_config=hf_swin.read, write_config=hf_swin.write,
  ),
  "diffusers_dit": Family(
    "hf", ("diffusion.dit",), _main(hf.dit), containers=("",),
    ignored=(r"^pos_embed\.pos_embed$",),
    wants=lambda m: None if m.classes and m.net_size.mlp_ratio == 4.0
    else "it has labels and mlp_ratio=4",
    read_config=configs.read_dit, write_config=configs.write_dit,
  ),
  # timm and big_vision.
  "timm_vit": Family(
    "timm", BACKBONE, _main(vits.timm_classifier), optional=HEAD,
    fixed=dict(positions="learned", registers=0, head_bias=True, eps=1e-6),
    wants=_timm,
    read_config=timm.read, write_config=timm.write,
  ),
  "timm_mae": Family(
    "timm", ("mim.mae", "mim.colormae"), _main(_timm_mae),
    optional=("^params/main/decoder/",), left_out=("^params/main/decoder/",),
    ignored=("^(head|fc_norm)\\.",), write_config=timm.write,
  ),
  "big_vision": Family(
    "big_vision", BACKBONE, _main(vits.big_vision),
    containers=("params/img/", "params/", ""), optional=HEAD,
    aliases=(
      ("^Transformer/posembed_input/pos_embedding$", "pos_embedding"),
      ("MultiHeadDotProductAttention_1/", "MultiHeadDotProductAttention_0/"),
      ("/LayerNorm_2/", "/LayerNorm_1/"), ("/MlpBlock_3/", "/MlpBlock_0/"),
    ),
    ignored=("^pre_logits/",),
    fixed=VIT | dict(registers=0, layer_scale=0.0, qkv_bias=True),
    wants=lambda m: None if m.pool in ("cls", "mean")
    else "pool is 'cls' or 'mean' there",
  ),
  **latent.FAMILIES,
}  # fmt: skip

# `model_type` of a config.json -> family.
MODEL_TYPES = {
  "vit": "hf_vit", "ijepa": "hf_ijepa", "dinov2": "hf_dinov2",
  "dinov2_with_registers": "hf_dinov2_with_registers", "clip": "hf_clip",
  "clip_vision_model": "hf_clip", "vit_mae": "hf_vit_mae",
  "videomae": "hf_videomae", "swin": "hf_swin",
  "DiTTransformer2DModel": "diffusers_dit", "AutoencoderKL": "diffusers_vae",
}  # fmt: skip


def find(name: str) -> Family:
  """The family of a name.

  Raises:
    UserError: there is none; the known ones are listed.
  """
  if name not in FAMILIES:
    raise errors.UserError(
      f"--from={name}", "one of " + ", ".join(FAMILIES), "name one of these",
      "--from",
    )  # fmt: skip
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
    "use --format=safetensors, which holds every method", "--format",
  )  # fmt: skip
