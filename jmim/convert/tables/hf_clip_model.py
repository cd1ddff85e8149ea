"""CLIP of Transformers, both towers or that of texts alone: `text.clip`.

The tower alone (`CLIPTextModel`, with its projection or without) is what Stable
Diffusion reads; a run of it has a small fresh tower of images beside it.
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import hf_clip
from jmim.methods.text import clip
from jmim.nn.nets import text as nets

DEFAULTS = dict(
  vocab_size=49_408,
  hidden_size=512,
  intermediate_size=2048,
  projection_dim=512,
  num_hidden_layers=12,
  num_attention_heads=8,
  max_position_embeddings=77,
  hidden_act="quick_gelu",
  layer_norm_eps=nets.EPS,
  bos_token_id=49_406,
  eos_token_id=49_407,
)
# An end that files of older versions name whatever it is: the last token.
OLDER_END = 2
IMAGES = (f"^{family.MAIN}(image|projection)/",)
REST = (f"^{family.MAIN}log_scale$", f"^{family.MAIN}text/projection/")


def words(projected: bool = True) -> pieces.Table:
  """The tower of texts; our names without a prefix.

  Args:
    projected: with its projection.
  """
  stem = "text_model.embeddings"
  rules: pieces.Table = [
    table.Rule(theirs=f"{stem}.{a}_embedding.weight", ours=ours)
    for a, ours in (
      ("token", "token_embed/embedding"),
      ("position", "pos_embed"),
    )
  ]
  rules += pieces.clip_blocks("text_model.")
  rules += pieces.norm("text_model.final_layer_norm", "norm")
  if projected:
    rules += pieces.dense("text_projection", "projection", bias=False)
  return rules


def full(method: clip.CLIP) -> pieces.Table:
  """CLIPModel."""
  projected = bool(method.text.projection)
  images = pieces.clip(method.encoder.patch, "vision_model.")
  images += pieces.norm("vision_model.post_layernorm", "norm")
  return [
    *table.placed(images, "", "image/"),
    *pieces.dense("visual_projection", "projection", bias=False),
    *table.placed(words(projected), "", "text/"),
    table.Rule(theirs="logit_scale", ours="log_scale"),
  ]


def objection(method: clip.CLIP) -> str | None:
  """What neither tower can be."""
  if method.text.path:
    return "its tower of texts is a part of it (text.path)"
  if not method.text.causal:
    return "a token sees those before it"
  if OLDER_END == method.text.end != method.text.vocabulary - 1:
    return (
      f"text.end {OLDER_END} stands for the greatest token there, at which a "
      f"text is pooled: {method.text.vocabulary - 1}"
    )
  return None


def read_words(config: Mapping[str, Any], projection: int) -> dict[str, Any]:
  """Fields of a tower of texts; projection: width of both towers' space."""
  known = DEFAULTS | dict(config)
  options.refuse(known, layer_norm_eps=nets.EPS)
  last = known["vocab_size"] - 1
  older = known["eos_token_id"] == OLDER_END
  start, end = (
    (last - 1, last)
    if older
    else (known["bos_token_id"], known["eos_token_id"])
  )
  width = known["hidden_size"]
  style = options.hf_style(known)
  return dict(
    vocabulary=known["vocab_size"],
    length=known["max_position_embeddings"],
    start=start,
    end=end,
    pad=end,
    width=width,
    depth=known["num_hidden_layers"],
    heads=known["num_attention_heads"],
    mlp_ratio=options.mlp_ratio(known["intermediate_size"], width),
    act=style["act"],
    projection=projection,
  )


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' CLIPModel."""
  vision = hf_clip.DEFAULTS | dict(config["vision_config"])
  image, width = options.hf_image(vision), config.get("projection_dim", 512)
  return dict(
    **image,
    **options.hf_style(vision),
    dims=options.hf_dims(vision),
    text=read_words(config["text_config"], width),
  )


def read_text(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' CLIPTextModel, or the tower of texts of a CLIPModel."""
  own = config.get("text_config", config)
  # Of a whole CLIP the width of what both meet in stands beside the towers.
  wide = config.get("projection_dim", (DEFAULTS | dict(own))["projection_dim"])
  return options.NO_IMAGES | dict(text=read_words(own, wide))


def write(method: clip.CLIP) -> dict[str, Any]:
  """The inverse of `read`."""
  words_, images = method.text, method.encoder.size
  vision = hf_clip.DEFAULTS | dict(
    model_type="clip_vision_model",
    hidden_size=images.width,
    num_hidden_layers=images.depth,
    num_attention_heads=images.heads,
    intermediate_size=int(images.width * images.mlp_ratio),
    image_size=method.size,
    patch_size=method.encoder.patch,
    num_channels=method.channels,
    hidden_act=options.HF_ACTS[method.act],
    layer_norm_eps=method.eps,
    projection_dim=words_.projection,
  )
  return dict(
    model_type="clip",
    architectures=["CLIPModel"],
    projection_dim=words_.projection,
    vision_config=vision,
    text_config=write_words(method),
    dtype="float32",
  )


def write_words(method: clip.CLIP) -> dict[str, Any]:
  """The config.json of the tower of texts."""
  own = method.text
  return dict(
    model_type="clip_text_model",
    architectures=["CLIPTextModelWithProjection"],
    vocab_size=own.vocabulary,
    hidden_size=own.width,
    intermediate_size=int(own.width * own.mlp_ratio),
    projection_dim=own.projection,
    num_hidden_layers=own.depth,
    num_attention_heads=own.heads,
    max_position_embeddings=own.length,
    hidden_act=options.HF_ACTS[own.act],
    layer_norm_eps=nets.EPS,
    bos_token_id=own.start,
    eos_token_id=own.end,
    pad_token_id=own.pad,
  )


def _only_words(method: clip.CLIP) -> pieces.Table:
  return table.placed(words(bool(method.text.projection)), "", "text/")


FAMILIES = {
  # It has to be named: `hf_clip` takes the tower of images out of such files.
  "hf_clip_model": family.Family(
    library="hf",
    methods=("text.clip",),
    table=family.main(full),
    containers=("",),
    ignored=("position_ids$",),
    check=objection,
    read_config=read,
    write_config=write,
  ),
  "hf_clip_text": family.Family(
    library="hf",
    methods=("text.clip",),
    table=family.main(_only_words),
    containers=(
      "state_dict.cond_stage_model.transformer.",
      "cond_stage_model.transformer.",
      "",
    ),
    aliases=((r"^(embeddings|encoder|final_layer_norm)\b", r"text_model.\1"),),
    ignored=("position_ids$", "^(vision_model|visual_projection|logit_scale)"),
    optional=REST[1:],
    unsupported=(*IMAGES, *REST[:1]),
    check=objection,
    images=False,
    read_config=read_text,
    write_config=write_words,
    model_types=("clip_text_model",),
    priority=-1,
  ),
}
