"""Weights of the authors' VideoMAE V2 (OpenGVLab/VideoMAEv2)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.video import videomae_v2
from jmim.nn.nets import video


def blocks(
  model: video.Encoder | video.Decoder, theirs: str, ours: str
) -> pieces.Table:
  """Blocks without a bias of k; with cosine attention a scale per head."""
  rules = pieces.beit_block(theirs, ours, layer_scale=bool(model.layer_scale))
  if model.cosine:
    name = f"{ours}/attn/logit_scale"
    rules.append(table.Rule(theirs=f"{theirs}.attn.scale", ours=name))
  return rules


def full(method: videomae_v2.VideoMAE) -> pieces.Table:
  """Encoder and decoder."""
  encoder = method.encoder
  return [
    *pieces.dense(
      "encoder.patch_embed.proj",
      "encoder/patch_embed/proj",
      op=ops.tubelet_conv(encoder.frames, encoder.patch),
    ),
    *blocks(encoder, "encoder.blocks.{i}", "encoder/blocks/layers"),
    *pieces.norm("encoder.norm", "encoder/norm"),
    *pieces.dense("encoder_to_decoder", "decoder/embed", bias=False),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    *blocks(method.decoder, "decoder.blocks.{i}", "decoder/blocks/layers"),
    *pieces.norm("decoder.norm", "decoder/norm"),
    *pieces.dense("decoder.head", "decoder/head"),
  ]


FAMILIES = {
  "videomae_v2": family.Family(
    library="authors",
    methods=("video.videomae_v2",),
    table=family.main(full),
  )
}
