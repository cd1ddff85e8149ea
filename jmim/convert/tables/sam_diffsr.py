"""Weights of SAM-DiffSR and SRDiff (lose4578/SAM-DiffSR@a18eaf6).

A checkpoint of the second stage holds the denoiser and the frozen RRDB; one of
the first the RRDB alone. The names below are those of the golden files; what
stands around them in a checkpoint (`state_dict.model.`) is from memory.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.restore import rrdb as rrdb_method
from jmim.methods.restore import sam_diffsr
from jmim.nn.nets import rrdb
from jmim.nn.nets import srdiff

Conv = tuple[str, str]  # their name and ours


def _convolutions(*names: Conv) -> pieces.Table:
  return [
    r for theirs, ours in names for r in pieces.dense(theirs, ours, ops.CONV)
  ]


def encoder(net: rrdb.RRDB) -> pieces.Table:
  """RRDB; our names without a prefix."""
  dense = [
    (f"RRDB_trunk.{{i}}.RDB{n + 1}.{c}", f"blocks/layers/{unit}/{c}")
    for n, unit in enumerate(rrdb.UNITS)
    for c in rrdb.CONVOLUTIONS
  ]
  doublings = net.factor.bit_length() - 1
  return _convolutions(
    ("conv_first", "conv_in"),
    *dense,
    ("trunk_conv", "conv_trunk"),
    *((f"upconv{i + 1}", f"conv_up{i}") for i in range(doublings)),
    ("HRconv", "conv_large"),
    ("conv_last", "conv_out"),
  )


def _residual(theirs: str, ours: str, skip: bool) -> pieces.Table:
  """A residual block; skip: its widths differ."""
  rules = pieces.dense(f"{theirs}.mlp.1", f"{ours}/time")
  for n in ("block1", "block2"):
    rules += pieces.dense(f"{theirs}.{n}.block.1", f"{ours}/{n}/conv", ops.CONV)
  if skip:
    rules += pieces.dense(f"{theirs}.res_conv", f"{ours}/skip", ops.POINT)
  return rules


def denoiser(net: srdiff.UNet) -> pieces.Table:
  """The UNet; our names without a prefix."""
  widths = [m * net.width for m in net.multipliers]
  last = len(widths) - 1
  rules = [
    *pieces.dense("cond_proj", "condition", ops.TRANSPOSED),
    *pieces.dense("mlp.0", "time1"),
    *pieces.dense("mlp.2", "time2"),
  ]
  before = [net.out, *widths]
  for level, width in enumerate(widths):
    theirs, ours = f"downs.{level}", f"down{level}"
    rules += _residual(f"{theirs}.0", f"{ours}_0", before[level] != width)
    rules += _residual(f"{theirs}.1", f"{ours}_1", skip=False)
    if level < last:
      rules += pieces.dense(f"{theirs}.2.conv.1", f"half{level}", ops.CONV)
  for n in (0, 1):
    rules += _residual(f"mid_block{n + 1}", f"middle{n}", skip=False)
  for n, level in enumerate(reversed(range(1, last + 1))):
    theirs, ours = f"ups.{n}", f"up{level}"
    # It reads its own map and a skip, twice as wide as the level together.
    changes = 2 * widths[level] != widths[level - 1]
    rules += _residual(f"{theirs}.0", f"{ours}_0", skip=changes)
    rules += _residual(f"{theirs}.1", f"{ours}_1", skip=False)
    up = f"{theirs}.2.conv.0"
    rules += pieces.dense(up, f"twice{level}", ops.TRANSPOSED)
  return [
    *rules,
    *pieces.dense("final_conv.0.block.1", "last/conv", ops.CONV),
    *pieces.dense("final_conv.1", "out", ops.POINT),
  ]


def first(method: rrdb_method.RRDB) -> pieces.Table:
  """The first stage."""
  return encoder(method.net)


def second(method: sam_diffsr.SAMDiffSR) -> pieces.Table:
  """The denoiser of the second stage."""
  return table.placed(denoiser(method.net), "denoise_fn.", "")


FAMILIES = {
  "srdiff_rrdb": family.Family(
    library="authors",
    methods=("restore.rrdb",),
    table=family.main(first),
    containers=(
      "state_dict.model.rrdb.",
      "model.rrdb.",
      "state_dict.model.",
      "rrdb.",
      "model.",
      "state_dict.",
      "",
    ),
  ),
  "sam_diffsr": family.Family(
    library="authors",
    methods=("restore.sam_diffsr",),
    table=family.main(second),
    containers=("state_dict.model.", "model.", "state_dict.", ""),
    # The frozen encoder (`srdiff_rrdb`), and tables that are computed here.
    ignored=(r"^(?!denoise_fn\.)",),
  ),
}
