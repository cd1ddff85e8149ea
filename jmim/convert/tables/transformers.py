"""Weights of MAE, VideoMAE and DiT as Transformers and Diffusers name them.

Names are those of the files; inside Transformers 5 some layers have others.
"""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.convert.tables import videomae_v2
from jmim.convert.tables import vits
from jmim.methods.diffusion import dit as dits
from jmim.methods.mim import mae as maes
from jmim.methods.video import videomae_v2 as videos
from jmim.nn import posemb

Table = list[table.Rule | table.Constant]


def vit_mae(method: maes.MAE) -> Table:
  """ViTMAEForPreTraining."""
  e, stem, ours = method.encoder, "vit.embeddings", "encoder"
  proj = f"{stem}.patch_embeddings.projection"
  tables = [
    posemb.sincos_2d(width, method.grid, method.order, prefix=1)[None]
    for width in (e.size.width, method.decoder_width)
  ]
  conv = table.patch_conv(method.channels)
  return [
    table.Rule(
      theirs=f"{proj}.weight", ours=f"{ours}/patch_embed/proj/kernel", op=conv
    ),
    table.Rule(theirs=f"{proj}.bias", ours=f"{ours}/patch_embed/proj/bias"),
    table.Constant(theirs=f"{stem}.position_embeddings", value=tables[0]),
    table.Rule(theirs=f"{stem}.cls_token", ours=f"{ours}/cls_token"),
    *vits.transformers_blocks("vit.encoder.layer.{i}", f"{ours}/blocks/layers"),
    *mae.norm("vit.layernorm", f"{ours}/norm"),
    table.Rule(theirs="decoder.mask_token", ours="decoder/mask_token"),
    table.Constant(
      theirs="decoder.decoder_pos_embed",
      value=tables[1],
      ours="decoder/pos_embed",
    ),
    *mae.dense("decoder.decoder_embed", "decoder/embed"),
    *vits.transformers_blocks(
      "decoder.decoder_layers.{i}", "decoder/blocks/layers"
    ),
    *mae.norm("decoder.decoder_norm", "decoder/norm"),
    *mae.dense("decoder.decoder_pred", "decoder/pred"),
  ]


def videomae(method: videos.VideoMAE) -> Table:
  """VideoMAEForPreTraining, with its final norm (no mean pooling)."""
  stem, ours = "videomae.embeddings.patch_embeddings.projection", "encoder"
  conv, proj = videomae_v2.tubelet_conv(method.tubelet), "patch_embed/proj"
  return [
    table.Rule(theirs=f"{stem}.weight", ours=f"{ours}/{proj}/kernel", op=conv),
    table.Rule(theirs=f"{stem}.bias", ours=f"{ours}/{proj}/bias"),
    *_video_blocks("videomae.encoder.layer.{i}", f"{ours}/blocks/layers"),
    *mae.norm("videomae.layernorm", f"{ours}/norm"),
    table.Rule(
      theirs="encoder_to_decoder.weight",
      ours="decoder/embed/kernel",
      op=table.LINEAR,
    ),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    *_video_blocks("decoder.decoder_layers.{i}", "decoder/blocks/layers"),
    *mae.norm("decoder.norm", "decoder/norm"),
    *mae.dense("decoder.head", "decoder/head"),
  ]


def _video_blocks(theirs: str, ours: str) -> Table:
  """Blocks whose keys have no bias."""
  name = f"{theirs}.attention.attention"
  return [
    *(
      rule
      for rule in vits.transformers_blocks(theirs, ours)
      if rule.ours != f"{ours}/attn/qkv/bias"
    ),
    *(
      table.Rule(theirs=f"{name}.{b}", ours=f"{ours}/attn/{b}")
      for b in ("q_bias", "v_bias")
    ),
  ]


def dit(method: dits.DiT) -> Table:
  """DiTTransformer2DModel: every block has its copy of the embeddings."""
  block, ours = "transformer_blocks.{i}", "blocks/layers"
  emb, depth = f"{block}.norm1.emb", method.dims.size.depth
  conv = table.patch_conv(method.channels)
  rules: Table = [
    table.Rule(
      theirs="pos_embed.proj.weight", ours="patch_embed/kernel", op=conv
    ),
    table.Rule(theirs="pos_embed.proj.bias", ours="patch_embed/bias"),
    table.Rule(
      theirs=f"{emb}.class_embedder.embedding_table.weight",
      ours="label_embed/embedding",
      copies=depth,
    ),
    *mae.dense(f"{block}.norm1.linear", f"{ours}/modulation"),
    *vits.separate(
      f"{block}.attn1", f"{ours}/attn/qkv", ("to_q", "to_k", "to_v")
    ),
    *mae.dense(f"{block}.attn1.to_out.0", f"{ours}/attn/proj"),
    *mae.dense(f"{block}.ff.net.0.proj", f"{ours}/mlp/fc1"),
    *mae.dense(f"{block}.ff.net.2", f"{ours}/mlp/fc2"),
    *mae.dense("proj_out_1", "modulation"),
    *mae.dense("proj_out_2", "pred"),
  ]
  for i in (1, 2):
    theirs, own = f"{emb}.timestep_embedder.linear_{i}", f"time_embed/fc{i}"
    rules += [
      table.Rule(
        theirs=f"{theirs}.weight",
        ours=f"{own}/kernel",
        op=table.LINEAR,
        copies=depth,
      ),
      table.Rule(theirs=f"{theirs}.bias", ours=f"{own}/bias", copies=depth),
    ]
  return rules
