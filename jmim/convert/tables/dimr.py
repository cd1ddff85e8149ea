"""Weights of the authors' DiMR (qihao067/DiMR).

Their blocks of a branch are one list; here those before and after the middle
are two stacks. Rotary positions turn features side by side there, half a head
apart here. A branch with such positions has frequencies of its own there that
nothing reads: they are listed as ignored.
"""

from collections.abc import Sequence

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import lightningdit
from jmim.methods.latent import dimr
from jmim.nn.nets import dimr_dims as nets

# Theirs and ours, of a parameter that depends on time.
TIMES = (
  ("param0", "p0"),
  ("param1", "p1"),
  ("nodecay_weight", "slope"),
  ("nodecay_bias", "offset"),
)
# One number per head; theirs [h], ours [h, 1, 1].
SCALES = ops.Op(lambda x: x[:, None, None], lambda x: x[:, 0, 0])
# (theirs, ours, layout) of one array.
Row = tuple[str, str, ops.Op]


def linear(
  theirs: str, ours: str, op: ops.Op = ops.LINEAR, bias: bool = True
) -> list[Row]:
  """A linear map or convolution."""
  rows = [(f"{theirs}.weight", f"{ours}/kernel", op)]
  if bias:
    rows.append((f"{theirs}.bias", f"{ours}/bias", ops.SAME))
  return rows


def timed(theirs: str, ours: str) -> list[Row]:
  """A parameter that depends on time."""
  return [(f"{theirs}.{a}", f"{ours}/{b}", ops.SAME) for a, b in TIMES]


def layer_norm(theirs: str, ours: str) -> list[Row]:
  """A LayerNorm that depends on time."""
  scale = timed(f"{theirs}.weight", f"{ours}/scale")
  return scale + timed(f"{theirs}.bias", f"{ours}/bias")


def norm(kind: str, theirs: str, ours: str) -> list[Row]:
  """The norm of a block; `kind` as in `Dims`."""
  if kind == "td_layer":
    return layer_norm(theirs, ours)
  if kind == "td_rms":
    return timed(f"{theirs}.scale", f"{ours}/scale")
  if kind == "rms":
    return [(f"{theirs}.scale", f"{ours}/scale", ops.SAME)]
  return [(f"{theirs}.linear.weight", f"{ours}/told/kernel", ops.LINEAR)]


def block(dims: nets.Dims, branch: nets.Branch) -> list[Row]:
  """A block without its map of [x, skip]."""
  rows = norm(dims.norm, "block2.norm", "norm2")
  for theirs, ours in (("w0", "gate"), ("w1", "up"), ("w2", "down")):
    rows += linear(f"block2.{theirs}", f"mlp/{ours}")
  if branch.kind == "convnext":
    return rows + linear("block1.1", "depthwise", ops.CONV)
  rows += norm(dims.norm, "block1.norm", "norm1")
  qkv = lightningdit.halves(branch.heads, 3) if dims.rotary else ops.LINEAR
  rows += linear("block1.query_key_value", "attn/qkv", qkv, bias=False)
  rows += linear("block1.dense", "attn/proj")
  if dims.rotary:
    rows += [
      ("block1.qk_norm.scale", "attn/logit_scale", SCALES),
      ("block1.pos_emb.freqs_h", "rotary/row", ops.SAME),
      ("block1.pos_emb.freqs_w", "rotary/column", ops.SAME),
    ]
  return rows


def stacked(rows: list[Row], theirs: Sequence[str], ours: str) -> pieces.Table:
  """Layers of these names, which are a stack here."""
  return [
    table.Rule(
      theirs=tuple(f"{name}.{there}" for name in theirs),
      ours=f"{ours}/{here}",
      op=ops.one_of(op),
      axis=0,
    )
    for there, here, op in rows
  ]


def branch_rules(
  dims: nets.Dims, branch: nets.Branch, *, classes: int, first: bool
) -> pieces.Table:
  """One branch, with names below "stages.K" and "branchK".

  Args:
    dims: of all branches.
    branch: its numbers.
    classes: labels; 0: none.
    first: there is none before it.
  """
  proj = ops.patch_conv(branch.patch)
  rows = linear("input_layer.1", "embed/proj", proj)
  rows += layer_norm("output_layer.0", "norm")
  rows += linear("output_layer.2", "pred", ops.CONV)
  tokens = branch.kind == "transformer"
  if not (tokens and dims.rotary):
    name = "input_layer.3.position_embeddings.weight"
    rows.append((name, "embed/pos_embed", ops.MATRIX))
  if tokens and classes:
    rows.append(("class_embeds.weight", "label_embed/embedding", ops.SAME))
  if not first:
    rows += layer_norm("upsample.0", "upsample/norm1")
    rows += linear("upsample.1.kernel", "upsample/shuffle")
    rows += layer_norm("upsample.2", "upsample/norm2")
  rules: pieces.Table = [
    table.Rule(theirs=there, ours=here, op=op) for there, here, op in rows
  ]
  every, names = (
    block(dims, branch),
    [f"blocks.{i}" for i in range(branch.depth)],
  )
  middle = branch.half + 1
  rules += stacked(every, names[:middle], "first/layers")
  if branch.half:
    rules += stacked(every, names[middle:], "last/layers")
    joins = [f"skip_denses.{i}" for i in range(branch.half)]
    rows = [(there[1:], here, op) for there, here, op in linear("", "join")]
    rules += stacked(rows, joins, "last/layers")
  return rules


def full(method: dimr.DiMR) -> pieces.Table:
  """All branches."""
  rules: pieces.Table = []
  for k, branch in enumerate(method.dims.branches(method.size)):
    classes = method.labels.classes
    one = branch_rules(method.dims, branch, classes=classes, first=k == 0)
    rules += table.placed(one, f"stages.{k}.", f"branch{k}/")
  return rules


def _theirs(method: dimr.DiMR) -> str | None:
  """What is wrong with a method whose norms are not in such files."""
  if method.dims.norm == "adaln":
    return "dims.norm='adaln', the comparison, which is not in such files"
  return None


FAMILIES = {
  "dimr": family.Family(
    library="authors",
    methods=("latent.dimr",),
    table=family.main(full),
    containers=("module.", ""),
    ignored=(r"^stages\.\d+\.pos_emb\.freqs_[hw]$",),
    check=_theirs,
  )
}
