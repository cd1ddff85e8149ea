"""CLIP of OpenAI and OpenCLIP, both towers or that of texts alone.

Stable Diffusion 2 has the latter, without the tower of images, in its file.
"""

import dataclasses

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import hf_clip_model
from jmim.convert.tables import open_clip
from jmim.methods.text import clip


def words(method: clip.CLIP) -> pieces.Table:
  """The tower of texts, whose projection is [in, out] as our kernels are."""
  rules: pieces.Table = [
    table.Rule(theirs="token_embedding.weight", ours="token_embed/embedding"),
    table.Rule(theirs="positional_embedding", ours="pos_embed"),
    *open_clip.blocks("transformer.resblocks.{i}", "blocks/layers"),
    *pieces.norm("ln_final", "norm"),
  ]
  if method.text.projection:
    ours = "projection/kernel"
    rules.append(table.Rule(theirs="text_projection", ours=ours))
  return table.placed(rules, "", "text/")


def full(method: clip.CLIP) -> pieces.Table:
  """Both towers and the scale."""
  return [
    *table.placed(open_clip.tower(method.encoder.patch), "", "image/"),
    table.Rule(theirs="visual.proj", ours="projection/kernel"),
    *words(method),
    table.Rule(theirs="logit_scale", ours="log_scale"),
  ]


def older(method: clip.CLIP) -> str | None:
  """What neither tower can be."""
  own = method.text
  if own.end != own.vocabulary - 1:
    return (
      f"a text is pooled at its greatest token there, and text.end {own.end} "
      f"of text.vocabulary {own.vocabulary} need not be that"
    )
  if (wrong := hf_clip_model.objection(method)) or method.eps == 1e-5:
    return wrong
  return "eps is 1e-5 there"


FULL = family.Family(
  library="authors",
  methods=("text.clip",),
  table=family.main(full),
  containers=("state_dict.", "module.", ""),
  ignored=(
    "^(input_resolution|context_length|vocab_size|attn_mask)$",
    "^logit_bias$",
  ),
  check=older,
)
FAMILIES = {
  "open_clip_model": FULL,
  "open_clip_text": dataclasses.replace(
    FULL,
    table=family.main(words),
    containers=(
      "state_dict.cond_stage_model.model.",
      "cond_stage_model.model.",
      *FULL.containers,
    ),
    ignored=(*FULL.ignored, r"^visual\.", "^logit_scale$"),
    unsupported=(*hf_clip_model.IMAGES, *hf_clip_model.REST[:1]),
    priority=-1,
  ),
}
