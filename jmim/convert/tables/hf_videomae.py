"""VideoMAE as Transformers has it: weights and options."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.video import videomae_v2


def full(method: videomae_v2.VideoMAE) -> pieces.Table:
  """VideoMAEForPreTraining, with its final norm (no mean pooling)."""
  encoder = method.encoder
  return [
    *pieces.dense(
      "videomae.embeddings.patch_embeddings.projection",
      "encoder/patch_embed/proj",
      op=ops.tubelet_conv(encoder.frames, encoder.patch),
    ),
    *_block("videomae.encoder.layer.{i}", "encoder/blocks/layers"),
    *pieces.norm("videomae.layernorm", "encoder/norm"),
    *pieces.dense("encoder_to_decoder", "decoder/embed", bias=False),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    *_block("decoder.decoder_layers.{i}", "decoder/blocks/layers"),
    *pieces.norm("decoder.norm", "decoder/norm"),
    *pieces.dense("decoder.head", "decoder/head"),
  ]


def _block(theirs: str, ours: str) -> pieces.Table:
  """A block whose keys have no bias."""
  rules = pieces.hf_block(theirs, ours, qkv_bias=False)
  attention = f"{theirs}.attention.attention"
  return rules + pieces.qv_biases(attention, f"{ours}/attn")


def objection(method: videomae_v2.VideoMAE) -> str | None:
  """What a VideoMAE of Transformers cannot be, besides `fixed`."""
  if method.encoder.size.mlp_ratio != 4.0:
    return "mlp_ratio is 4 there"
  return None


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' VideoMAE: `video.videomae_v2` without decoder masking."""
  width, decoder_width = config["hidden_size"], config["decoder_hidden_size"]
  options.refuse(
    config,
    hidden_act="gelu",
    qkv_bias=True,
    qv_bias=True,
    num_channels=3,
    use_mean_pooling=False,
    intermediate_size=4 * width,
    decoder_intermediate_size=4 * decoder_width,
  )
  return dict(
    **options.hf_dims({"mlp_ratio": 4.0} | dict(config)),
    size=options.side(config, "image_size"),
    frames=config["num_frames"],
    tubelet=config["tubelet_size"],
    decoder_width=decoder_width,
    decoder_depth=config["decoder_num_hidden_layers"],
    decoder_heads=config["decoder_num_attention_heads"],
    decoder_ratio=0.0,
    normalise=config.get("norm_pix_loss", True),
  )


def write(method: videomae_v2.VideoMAE) -> dict[str, Any]:
  """The inverse of `read`."""
  encoder = method.encoder
  size, decoder = encoder.size, method.decoder.size
  return dict(
    model_type="videomae",
    architectures=["VideoMAEForPreTraining"],
    hidden_size=size.width,
    num_hidden_layers=size.depth,
    num_attention_heads=size.heads,
    intermediate_size=4 * size.width,
    image_size=method.size,
    patch_size=encoder.patch,
    num_channels=3,
    num_frames=method.frames,
    tubelet_size=encoder.frames,
    decoder_hidden_size=decoder.width,
    decoder_num_hidden_layers=decoder.depth,
    decoder_num_attention_heads=decoder.heads,
    decoder_intermediate_size=4 * decoder.width,
    hidden_act="gelu",
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    layer_norm_eps=1e-6,
    qkv_bias=True,
    use_mean_pooling=False,
    norm_pix_loss=method.normalise,
    dtype="float32",
  )


FAMILIES = {
  "hf_videomae": family.Family(
    library="hf",
    methods=("video.videomae_v2",),
    table=family.main(full),
    containers=("",),
    aliases=(
      (r"attention\.query\.bias$", "attention.q_bias"),
      (r"attention\.value\.bias$", "attention.v_bias"),
    ),
    fixed={
      "cosine": False,
      "layer_scale": 0.0,
      "masks.decoder_ratio": 0.0,
    },
    check=objection,
    read_config=read,
    write_config=write,
    model_types=("videomae",),
  )
}
