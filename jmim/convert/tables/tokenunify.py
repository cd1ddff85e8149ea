"""Weights of TokenUnify (ydchen0806/TokenUnify): encoder and UNETR decoder.

Files of pre-training hold the head for the next token ("preciever"), others do
not: then it stays fresh.
"""

import einops

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import tokenunify
from jmim.methods.parts import volume_dims
from jmim.methods.supervised import voxel_affinity
from jmim.nn import unetr

Dims = volume_dims.VolumeDims

# torch's convolutions of volumes and of sequences.
CONV3D = ops.Op(
  lambda x: einops.rearrange(x, "o i d h w -> d h w i o"),
  lambda x: einops.rearrange(x, "d h w i o -> o i d h w"),
)
POINT3D = ops.Op(
  lambda x: x[:, :, 0, 0, 0].T, lambda x: x.T[:, :, None, None, None]
)
DEPTHWISE = ops.Op(lambda x: x[:, 0].T, lambda x: x.T[:, None])
# A transposed convolution whose stride is its kernel; a linear map here.
_SIDES = dict(zip("pqr", unetr.SIDES, strict=True))
UP = ops.Op(
  lambda x: einops.rearrange(x, "i o p q r -> i (p q r o)"),
  lambda x: einops.rearrange(x, "i (p q r o) -> i o p q r", **_SIDES),
)
# Ours: what theirs have behind their names.
DIRECTIONS = {"forward": "", "backward": "_b", "interleaved": "_s"}
GATED = {"conv1": "", "conv2": "2", "conv3": "3", "conv4": "4"}


def mixer(theirs: str, ours: str) -> pieces.Table:
  """Three directions between two linear maps."""
  rules: pieces.Table = []
  for name in ("in_proj", "out_proj"):
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", bias=False)
  for name, suffix in DIRECTIONS.items():
    branch = f"{ours}/{name}"
    told = (f"{theirs}.x_proj{suffix}", f"{branch}/x_proj")
    rules += [
      table.Rule(theirs=f"{theirs}.A{suffix}_log", ours=f"{branch}/A_log"),
      table.Rule(theirs=f"{theirs}.D{suffix}", ours=f"{branch}/D"),
      *pieces.dense(f"{theirs}.conv1d{suffix}", f"{branch}/conv", op=DEPTHWISE),
      *pieces.dense(*told, bias=False),
      *pieces.dense(f"{theirs}.dt_proj{suffix}", f"{branch}/dt_proj"),
    ]
  return rules


def encoder(stages: int) -> pieces.Table:
  """All stages; ours without a prefix."""
  rules: pieces.Table = []
  for i in range(stages):
    down = f"vit.downsample_layers.{i}.{int(i > 0)}"  # a norm comes first
    rules += pieces.dense(down, f"down{i}", op=CONV3D)
    for name, number in GATED.items():
      op = CONV3D if name in ("conv1", "conv2") else POINT3D
      theirs = f"vit.gscs.{i}.proj{number}"
      rules += pieces.dense(theirs, f"gsc{i}/{name}", op=op)
    layer, ours = f"vit.stages.{i}.{{i}}", f"stage{i}/layers"
    rules += pieces.norm(f"{layer}.norm", f"{ours}/norm")
    rules += mixer(f"{layer}.mamba", f"{ours}/mamba")
    for name in ("fc1", "fc2"):
      theirs = f"vit.mlps.{i}.{name}"
      rules += pieces.dense(theirs, f"tail{i}/{name}", op=POINT3D)
  return rules


def residual(theirs: str, ours: str, widens: bool) -> pieces.Table:
  """A residual block, with a third convolution where it `widens`."""
  rules: pieces.Table = []
  for name, op in (("conv1", CONV3D), ("conv2", CONV3D), ("conv3", POINT3D)):
    if widens or name != "conv3":
      names = (f"{theirs}.{name}.conv", f"{ours}/{name}")
      rules += pieces.dense(*names, op=op, bias=False)
  return rules


def network(dims: Dims) -> pieces.Table:
  """Encoder and decoder of a volume of one channel; ours without a prefix."""
  stages, made = len(dims.widths), (1, *dims.widths)
  rules = table.placed(encoder(stages), "", "encoder/")
  for i, width in enumerate((*dims.widths, dims.hidden)):
    block = f"encoder{i + 1}.layer"
    rules += residual(block, f"skip{i}", made[i] != width)
  for i in range(stages):  # `last` is called decoder1 there
    theirs, ours = f"decoder{i + 2}", f"up{i}"
    up = (f"{theirs}.transp_conv.conv", f"{ours}/up")
    rules += pieces.dense(*up, op=UP, bias=False)
    rules += residual(f"{theirs}.conv_block", f"{ours}/block", True)
  rules += residual("decoder1.layer", "last", False)
  return [*rules, *pieces.dense("out.conv.conv", "out", op=POINT3D)]


def full(
  method: tokenunify.TokenUnify | voxel_affinity.VoxelAffinity,
) -> pieces.Table:
  """The network of a method that has one."""
  return table.placed(network(method.dims), "", "net/")


def head() -> pieces.Table:
  """The head for the next token, with the player's names."""
  rules: pieces.Table = []
  for i in range(3):
    rules += pieces.dense(f"preciever.conv{i + 1}", f"next/conv{i}", op=CONV3D)
  return [*rules, *pieces.dense("preciever.mlp", "next/out")]


def whole(
  method: tokenunify.TokenUnify | voxel_affinity.VoxelAffinity,
) -> pieces.Table:
  """The network, and the head of a method that predicts the next token."""
  own = isinstance(method, tokenunify.TokenUnify)
  return [*full(method), *(head() if own else [])]


FAMILIES = {
  "tokenunify": family.Family(
    library="authors",
    methods=("mim.tokenunify", "supervised.voxel_affinity"),
    table=family.main(whole),
    ignored=(r"^preciever\.",),
    optional=(rf"^{family.MAIN}net/out/", rf"^{family.MAIN}next/"),
    images=False,
  )
}
