"""Weights of DiffIR (Zj-BinXia/DiffIR): both stages.

Names of the golden files, for networks that enlarge; where none does, the last
convolution is Restormer's `output`. A checkpoint of the second stage has
condition and denoiser twice, once more below `diffusion`.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.restore import diffir
from jmim.methods.restore import diffir_prior
from jmim.nn.nets import restoration_prior
from jmim.nn.nets import restormer

# Ours: theirs, of the blocks of each level and of what is between two.
STACKS = {
  "encoder0": "encoder_level1",
  "encoder1": "encoder_level2",
  "encoder2": "encoder_level3",
  "middle": "latent",
  "decoder2": "decoder_level3",
  "decoder1": "decoder_level2",
  "decoder0": "decoder_level1",
  "refinement": "refinement",
}
DOWN = ("down1_2", "down2_3", "down3_4")
UP = ("up2_1", "up3_2", "up4_3")
# Both halves of a block: theirs, ours, and their layers alike.
BRANCHES = (
  (
    "attn",
    "attn",
    (
      ("qkv", "qkv", ops.POINT),
      ("qkv_dwconv", "qkv_depthwise", ops.CONV),
      ("project_out", "proj", ops.POINT),
    ),
  ),
  (
    "ffn",
    "mlp",
    (
      ("project_in", "fc1", ops.POINT),
      ("dwconv", "depthwise", ops.CONV),
      ("project_out", "fc2", ops.POINT),
    ),
  ),
)
CONVOLVED = (("weight", "kernel", ops.CONV), ("bias", "bias", ops.SAME))


def block(theirs: str, ours: str, norm: str) -> pieces.Table:
  """A block, whose linear map of the vector is named `kernel` there.

  Args:
    theirs: name of the block.
    ours: name of the stack.
    norm: one of `restormer.NORMS`.
  """
  rules: pieces.Table = []
  for i, (there, here, layers) in enumerate(BRANCHES, 1):
    for leaf, name in (("weight", "scale"), ("bias", "bias")):
      if name == "scale" or norm == "with_bias":
        body = f"{theirs}.norm{i}.body.{leaf}"
        rules.append(table.Rule(theirs=body, ours=f"{ours}/norm{i}/{name}"))
    kernel = f"{theirs}.{there}.kernel.0"
    rules += pieces.dense(kernel, f"{ours}/told{i}", bias=False)
    for a, b, op in layers:
      names = (f"{theirs}.{there}.{a}", f"{ours}/{here}/{b}")
      rules += pieces.dense(*names, op=op, bias=False)
  tau = (f"{theirs}.attn.temperature", f"{ours}/attn/temperature")
  return [*rules, table.Rule(theirs=tau[0], ours=tau[1], op=ops.HEADS)]


def network(net: restormer.Restormer) -> pieces.Table:
  """The restorer; ours without a prefix."""
  dims, side = net.dims, net.scale * net.dims.unshuffle
  convolution = lambda theirs, ours, bias=False: pieces.dense(
    theirs, ours, op=ops.CONV, bias=bias
  )
  rules = convolution("patch_embed.proj", "embed")
  for ours, theirs in STACKS.items():
    if ours != "refinement" or dims.refinement:
      rules += block(f"{theirs}.{{i}}", f"{ours}/layers", dims.norm)
  for level, (down, up) in enumerate(zip(DOWN, UP, strict=True)):
    rules += convolution(f"{down}.body.0", f"down{level}")
    rules += convolution(f"{up}.body.0", f"up{level}")
    if level:
      theirs = f"reduce_chan_level{level + 1}"
      rules += pieces.dense(theirs, f"reduce{level}", ops.POINT, bias=False)
  if side == 1:
    return rules + convolution("output", "out")
  for i in range(side.bit_length() - 1):  # a shuffle between two
    rules += convolution(f"tail.0.{2 * i}", f"grow{i}", bias=True)
  return rules + convolution("tail.1", "out", bias=True)


def encoder(dims: restoration_prior.Dims) -> pieces.Table:
  """What reads the vector off images; ours without a prefix.

  Residual blocks are counted with the layers around them, the first is E.2.
  """
  rules = pieces.dense("E.0", "embed", op=ops.CONV)
  for theirs, ours in (("body.0", "conv1"), ("body.2", "conv2")):
    for leaf, name, op in CONVOLVED:
      rules += numbered(
        [f"E.{2 + i}.{theirs}.{leaf}" for i in range(dims.blocks)],
        f"blocks/layers/{ours}/{name}",
        op,
      )
  for i in range(3):  # with an activation between two
    name = f"E.{2 + dims.blocks + 2 * i}"
    rules += pieces.dense(name, f"conv{i}", op=ops.CONV)
  for i in range(2):
    rules += pieces.dense(f"mlp.{2 * i}", f"fc{i}")
  return rules


def numbered(theirs: list[str], ours: str, op: ops.Op) -> pieces.Table:
  """Arrays that are a stack here and whose numbers do not begin at 0."""
  if not theirs:
    return []
  one = ops.one_of(op)
  return [table.Rule(theirs=tuple(theirs), ours=ours, op=one, axis=0)]


def denoiser(blocks: int) -> pieces.Table:
  """The denoiser; ours without a prefix."""
  rules = pieces.dense("resmlp.0", "embed")
  for leaf, name, op in (
    ("weight", "kernel", ops.LINEAR),
    ("bias", "bias", ops.SAME),
  ):
    rules += numbered(
      [f"resmlp.{2 + i}.resmlp.0.{leaf}" for i in range(blocks)],
      f"blocks/layers/fc/{name}",
      op,
    )
  return rules


def first(method: diffir_prior.DiffIRPrior) -> pieces.Table:
  """The first stage."""
  return [
    *table.placed(network(method.net), "G.", "net/"),
    *table.placed(encoder(method.prior), "E.", "encoder/"),
  ]


def second(method: diffir.DiffIR) -> pieces.Table:
  """The second stage, but for the first one's encoder."""
  return [
    *table.placed(network(method.net), "G.", "net/"),
    *table.placed(encoder(method.prior), "condition.", "condition/"),
    *table.placed(denoiser(method.walk.blocks), "denoise.", "denoiser/"),
  ]


def _constant(method: diffir_prior.DiffIRPrior) -> str | None:
  """What is wrong with a method whose vector is no image's."""
  if method.vector == "constant":
    return "vector='constant', the baseline, which is not in such files"
  return None


CONTAINERS = ("params_ema.", "params.", "state_dict.", "")
FAMILIES = {
  "diffir_prior": family.Family(
    library="authors",
    methods=("restore.diffir_prior",),
    table=family.main(first),
    containers=CONTAINERS,
    check=_constant,
  ),
  "diffir": family.Family(
    library="authors",
    methods=("restore.diffir",),
    table=family.main(second),
    containers=CONTAINERS,
    ignored=(r"^diffusion\.",),
    unsupported=(r"^params/discriminator/", r"^extra/"),
  ),
}
