"""Weights of DiffDub (liutaocode/DiffDub) and of Diff-AE (phizaz/diffae).

The UNet is guided-diffusion's but for its time embedding, which is a module of
its own, and the code's layer in each block; the encoder lies below "encoder".
Averaged weights are read.
"""

import dataclasses
import functools

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.methods.edit import diffdub

EMA = "ema_model."


def networks(method: diffdub.DiffDub) -> pieces.Table:
  """The network and, below "encoder.", the encoder."""
  encoder = unets.encoder(method.nets.encoder_net)
  encoder += pieces.norm("out.0", "norm_out")
  # A convolution of 1 x 1 there, behind SiLU and the mean over places.
  encoder += pieces.dense("out.3", "dense_out", op=ops.POINT)
  net = map(_nested, unets.network(method.nets.net))
  return [
    *table.placed([*net], "", "net/"),
    *table.placed(encoder, "encoder.", "encoder/"),
  ]


def full(method: diffdub.DiffDub) -> pieces.Table:
  """All of the authors' averaged model."""
  return table.placed(networks(method), "", family.MAIN)


def _nested(rule):
  """Their embedding of time is one level further down."""
  if not rule.theirs.startswith("time_embed."):
    return rule
  return dataclasses.replace(rule, theirs=f"time_embed.{rule.theirs}")


def _objection(method, references):
  if references != bool(method.references):
    known = "at least one" if references else "0: the whole picture is made"
    return f"references is {known} there"
  return unets.objection(method.dims) or unets.objection(method.encoder)


_FAMILY = family.Family(
  library="authors",
  methods=("edit.diffdub",),
  table=full,
  containers=(f"state_dict.{EMA}", EMA, "state_dict.", ""),
  # Beside the averages: raw weights, the noise that samples are drawn from.
  ignored=(r"^(state_dict\.)?(model|x_T|latent_net|classifier)\b", r"^x_T$"),
)
FAMILIES = {
  "diffdub": dataclasses.replace(
    _FAMILY, check=functools.partial(_objection, references=True)
  ),
  "diffae": dataclasses.replace(
    _FAMILY, check=functools.partial(_objection, references=False)
  ),
}
