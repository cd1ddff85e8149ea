"""Weights of the authors' I2P-MAE (ZrrSkywalker/I2P-MAE@7d4e519).

Running statistics of batch normalisation go with the parameters. A pre-trained
file holds CLIP too, which is left out: convert CLIP by itself. A fine-tuned one
has no norms in its encoder, but one before its head, which is that of our top
level; norms below it, which nothing reads, stay fresh.
"""

from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.parts import masked_points
from jmim.methods.point import i2p_mae
from jmim.methods.supervised import cloud
from jmim.nn.nets import point_encoder

STATISTICS = "extra/statistics/"
# torch counts batches, for a momentum that is not used.
IGNORED = (r"num_batches_tracked$",)
# Theirs of a run on one machine keeps what wraps the network.
CONTAINERS = ("base_model.module.", "base_model.", *family.CONTAINERS)
LEVELS = 3  # of a fine-tuned encoder


def batch_norm(theirs: str, ours: str) -> pieces.Table:
  """Scale and bias, and the running statistics beside them.

  Args:
    theirs: name of the layer.
    ours: name of the layer below the player.
  """
  names = {"running_mean": "mean", "running_var": "var"}
  return [
    *table.placed(pieces.norm(theirs, ours), "", family.MAIN),
    *(
      table.Rule(theirs=f"{theirs}.{a}", ours=f"{STATISTICS}{ours}/{b}")
      for a, b in names.items()
    ),
  ]


def convolution(theirs: str, ours: str) -> pieces.Table:
  """A convolution of side 1 over points."""
  rules = pieces.dense(theirs, ours, op=ops.POINT1D)
  return table.placed(rules, "", family.MAIN)


def normed(theirs: str, ours: str) -> pieces.Table:
  """The first two layers of a sequence: a convolution, a batch norm."""
  return [
    *convolution(f"{theirs}.0", f"{ours}/before"),
    *batch_norm(f"{theirs}.1", f"{ours}/bn"),
  ]


def point_net(theirs: str, ours: str) -> pieces.Table:
  """The mini-PointNet below a level."""
  first, second = f"{theirs}.first_conv", f"{theirs}.second_conv"
  return [
    *normed(first, f"{ours}/map1"),
    *convolution(f"{first}.3", f"{ours}/map2"),
    *normed(second, f"{ours}/map3"),
    *convolution(f"{second}.3", f"{ours}/map4"),
  ]


def level(blocks: str, place: str, ours: str, number: int) -> pieces.Table:
  """Blocks and the MLP of centres.

  Args:
    blocks: their name of the stack of blocks.
    place: their name of the MLP.
    ours: "encoder" or "decoder".
    number: of the level there.
  """
  layers = f"{ours}/blocks{number}/layers/block"
  rules = [
    *pieces.block(f"{blocks}.blocks.{{i}}", layers, qkv_bias=False),
    *pieces.mlp(place, f"{ours}/place{number}", names=("0", "2")),
  ]
  return table.placed(rules, "", family.MAIN)


def encoder(dims: point_encoder.Dims) -> pieces.Table:
  """All levels of the encoder, below "h_encoder", without their norms."""
  rules: pieces.Table = []
  for i in range(dims.levels):
    theirs = "h_encoder.{}." + str(i)
    rules += point_net(theirs.format("token_embed"), f"encoder/embed{i}")
    rules += level(
      theirs.format("encoder_blocks"),
      theirs.format("encoder_pos_embeds"),
      "encoder",
      i,
    )
  return rules


def norms(dims: point_encoder.Dims) -> pieces.Table:
  """Norms of all levels of a pre-trained encoder."""
  rules: pieces.Table = []
  for i in range(dims.levels):
    rules += pieces.norm(f"h_encoder.encoder_norms.{i}", f"encoder/norm{i}")
  return table.placed(rules, "", family.MAIN)


def decoder(network: masked_points.MaskedPoints) -> pieces.Table:
  """All levels of the decoder, and the steps down between them."""
  token = table.Rule(theirs="mask_token", ours="decoder/mask_token")
  norm = pieces.norm("decoder_norm", "decoder/norm")
  rules = table.placed([token, *norm], "", family.MAIN)
  for i in range(len(network.decoder.depths)):
    rules += level(f"h_decoder.{i}", f"decoder_pos_embeds.{i}", "decoder", i)
  for i, units in enumerate(network.decoder.units):
    layers = {f"token_prop.{i}.fuse.net": "fuse"}
    for unit in range(units):
      theirs = f"token_prop.{i}.extraction.operation.{unit}"
      layers |= {
        f"{theirs}.net1": f"unit{unit}_first",
        f"{theirs}.net2": f"unit{unit}_second",
      }
    for theirs, name in layers.items():
      rules += normed(theirs, f"decoder/down{i}/{name}")
  return rules


def full(method: i2p_mae.I2PMAE) -> pieces.Table:
  """Encoder, decoder and heads of pre-training."""
  flat = method.guide.features if method.weight_2d else 0
  return [
    *encoder(method.network.encoder),
    *norms(method.network.encoder),
    *decoder(method.network),
    *convolution("rec_head_3d", "head_3d"),
    *(convolution("rec_head_2d", "head_2d") if flat else []),
  ]


def classifier(method: cloud.Cloud) -> pieces.Table:
  """Encoder, the norm of its top level and head of a classifier."""
  theirs = "cls_head_finetune.{}".format
  top = pieces.norm("norm", f"encoder/norm{method.encoder.levels - 1}")
  linear = [
    *pieces.dense(theirs(0), "head/hidden1/before"),
    *pieces.dense(theirs(4), "head/hidden2/before"),
    *pieces.dense(theirs(8), "head/out"),
  ]
  return [
    *encoder(method.encoder),
    *table.placed([*top, *linear], "", family.MAIN),
    *batch_norm(theirs(1), "head/hidden1/bn"),
    *batch_norm(theirs(5), "head/hidden2/bn"),
  ]


def _objection(method: Any) -> str | None:
  if method.encoder.embed != 128:
    return f"encoder.embed={method.encoder.embed}, which is 128 there"
  return None


def _classifier_objection(method: cloud.Cloud) -> str | None:
  if method.encoder.levels != LEVELS:
    return f"encoder.groups={method.encoder.groups}, {LEVELS} levels there"
  return _objection(method)


FAMILIES = {
  "i2p_mae": family.Family(
    library="authors",
    methods=("point.i2p_mae",),
    table=full,
    containers=CONTAINERS,
    ignored=(*IGNORED, r"^clip_model\."),
    optional=(
      *family.DECODER,
      f"^{family.MAIN}head_",
      f"^{STATISTICS}decoder/",
    ),
    images=False,
    check=lambda method: _objection(method.network),
  ),
  "i2p_mae_finetuned": family.Family(
    library="authors",
    methods=("supervised.cloud",),
    table=classifier,
    containers=CONTAINERS,
    ignored=IGNORED,
    unsupported=(rf"^{family.MAIN}encoder/norm[0-{LEVELS - 2}]/",),
    images=False,
    check=_classifier_objection,
  ),
}
