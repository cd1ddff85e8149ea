"""Weights of CUE (zheng980629/CUE): both priors, and the enhancer.

The names are those of the golden files. A checkpoint of BasicSR has them below
"params" or "params_ema".
"""

import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.restore import cue
from jmim.methods.restore import cue_light

# torch's transposed 1 x 1 convolution [in, out, 1, 1]; ours [in, out].
UP = ops.Op(lambda x: x[:, :, 0, 0], lambda x: x[:, :, None, None])
LIGHT = "model_illu.L_learnedPrior."
BASICSR = ("params_ema.", "params.")


def conv3(theirs: str, ours: str, bias: bool = True) -> pieces.Table:
  """A convolution of any side above 1."""
  return pieces.dense(theirs, ours, ops.CONV, bias)


def conv1(theirs: str, ours: str, bias: bool = True) -> pieces.Table:
  """A convolution of 1 x 1."""
  return pieces.dense(theirs, ours, ops.POINT, bias)


def pair(theirs: str, ours: str) -> pieces.Table:
  """`coupling.ConvPair` without a norm."""
  return [
    *conv1(f"{theirs}.identity", f"{ours}/identity"),
    *conv3(f"{theirs}.conv_1", f"{ours}/conv1"),
    *conv3(f"{theirs}.conv_2", f"{ours}/conv2"),
  ]


def encoder() -> pieces.Table:
  """`illumination.Encoder`."""
  return [
    *conv3("convpre", "conv_in"),
    *pair("conv1", "pair0"),
    *conv3("down1", "down0"),
    *pair("conv2", "pair1"),
    *conv3("down2", "down1"),
    *pair("conv3", "pair2"),
    *conv1("Global.1", "global0"),
    *conv1("Global.3", "global1"),
    *pair("context_g", "context"),
  ]


def decoder() -> pieces.Table:
  """`illumination.Decoder`."""
  rules: pieces.Table = []
  for theirs, ours in ((2, 0), (1, 1)):
    merge, attend = f"merge{theirs}", f"merge{theirs}.1"
    rules += [
      *conv1(f"{merge}.0", f"merge{ours}/join"),
      *conv1(f"{attend}.conv_du.0", f"merge{ours}/gate0"),
      *conv1(f"{attend}.conv_du.2", f"merge{ours}/gate1"),
      *conv3(f"{attend}.process.0", f"merge{ours}/process0"),
      *conv3(f"{attend}.process.2", f"merge{ours}/process1"),
      *conv3(f"{merge}.2", f"merge{ours}/conv"),
      *pair(f"context{theirs}", f"pair{ours}"),
    ]
  return [*rules, *conv3("conv_last", "conv_out")]


def light(method: cue_light.CueLight) -> pieces.Table:
  """The prior of light."""
  del method
  return [
    *table.placed(encoder(), "", "encoder/"),
    *table.placed(decoder(), "", "decoder/"),
  ]


def fuse(theirs: str, ours: str, side: int) -> pieces.Table:
  """`fourier.Fuse` of kernels of that side."""
  conv = conv1 if side == 1 else conv3
  rules: pieces.Table = []
  for part in "FGH":
    name = f"{theirs}.spatial_process.block.{part}"
    own = f"{ours}/coupling/{part.lower()}"
    rules += pair(name, own)
    rules += pieces.norm(f"{name}.norm", f"{own}/norm")
  for part in ("real", "imag"):
    name = f"{theirs}.frequency_process.process{part}"
    rules += conv(f"{name}.0", f"{ours}/spectrum/{part}/conv1")
    rules += conv(f"{name}.2", f"{ours}/spectrum/{part}/conv2")
  rules += conv(f"{theirs}.frequency_spatial", f"{ours}/back")
  return rules + conv(f"{theirs}.cat", f"{ours}/join")


def net(levels: int) -> pieces.Table:
  """`fuse.FuseNet` of so many levels; three are published."""
  rules = [
    *conv1("extract", "extract"),
    *conv3("process.conv0", "conv_in"),
    *conv3("process.convout", "conv_out"),
    *conv1("recons", "reconstruct"),
  ]
  for i in range(levels - 1):
    rules += conv3(f"process.downsample{i + 1}", f"down{i}")
    rules += pieces.dense(f"process.up{i + 1}", f"up{i}", UP)
  for i in range(2 * levels - 1):
    theirs, ours = f"process.conv{i + 1}", f"block{i}"
    rules += fuse(f"{theirs}.spa", f"{ours}_spatial", 3)
    rules += fuse(f"{theirs}.cha", f"{ours}_channel", 1)
  return rules


def enhancer(method: cue.CUE) -> pieces.Table:
  """Unfolding, adjustment, restoration; step sizes are checked."""
  steps = {"alpha": method.unfold.alpha, "beta": method.unfold.beta}
  rules: pieces.Table = [
    table.Constant(theirs=name, value=np.array([step], np.float32))
    for name, step in steps.items()
  ]
  rules.append(table.Rule(theirs="mu", ours="unfold/mu"))
  for part, ours in (("refl", "reflectance"), ("noise", "noise")):
    for i in range(3):
      name = f"model_{part}.prox.basic_unit.{2 * i}"
      rules += conv1(name, f"unfold/{ours}/conv{i}", bias=False)
  if method.unfold.modulate:
    rules += table.placed(encoder(), LIGHT, "unfold/prior/")
    for i in range(3):
      name = f"model_illu.modulation_add.{2 * i}"
      rules += conv3(name, f"unfold/modulation/conv{i}", bias=False)
  rest = net(method.fuse.levels)
  return [
    *rules,
    *table.placed(rest, "adjustIllu_model.", "adjust/"),
    *table.placed(rest, "restoraRefl_model.", "restore/"),
  ]


FAMILIES = {
  "cue": family.Family(
    library="authors",
    methods=("restore.cue",),
    table=family.main(enhancer),
    containers=(*BASICSR, "net.", ""),
    # A second modulation that is not run, and the prior's way back to a map.
    ignored=(
      r"^model_illu\.modulation_mul\.",
      r"\.L_learnedPrior\.(context[12]|merge[12]|conv_last)\.",
    ),
    fixed={"unfold.modulate": True},
  ),
  "cue_light": family.Family(
    library="authors",
    methods=("restore.cue_light",),
    table=family.main(light),
    containers=(f"net.{LIGHT}", LIGHT, *BASICSR, ""),
  ),
  "cue_noise": family.Family(
    library="authors",
    methods=("restore.cue_noise",),
    table=family.main(mae.full),
    containers=(*BASICSR, "mae.", ""),
    optional=family.DECODER,
  ),
}
