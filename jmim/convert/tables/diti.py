"""Weights of PDAE (ckczzj/PDAE) and DiTi (yue-zhongqi/diti).

Their "decoder" is the frozen UNet with the branch inside; here they are two:
family `diti` is what is trained, `pdae_host` the UNet, of such a file or of one
with the UNet alone. Averaged weights are read.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.convert.tables import _unet_layers as layers
from jmim.methods.diffusion import ddpm
from jmim.methods.diffusion import diti
from jmim.nn.nets import code_encoder

FROZEN = "(time_embed|input_blocks|middle_block|output_blocks|out)"
# Beside the averages: raw weights, the optimizer's state, counts.
BESIDE = r"^(encoder|decoder|denoise_fn|optimizer|scaler|step|config)\b"


def encoder(net: code_encoder.CodeEncoder) -> pieces.Table:
  """Their Sequential, whose layers are numbered, activations included."""
  rules: pieces.Table = []
  at = 0
  for n in range(1, len(net.widths) + 1):
    if n > 1:
      rules += pieces.norm(str(at), f"norm{n - 1}")
      at += 2
    rules += pieces.dense(str(at), f"conv{n}", op=ops.CONV)
    at += 1
    if n == net.attend:
      rules += layers.attention(0, net.heads, str(at), "attention")
      at += 1
  rules += pieces.norm(str(at), f"norm{len(net.widths)}")
  # SiLU and what flattens come between.
  return rules + pieces.dense(str(at + 3), "out")


def trained(method: diti.DiTi) -> pieces.Table:
  """Encoder and branch."""
  nets, main = method.nets, family.MAIN
  return [
    *table.placed(
      encoder(nets.encoder_net), "ema_encoder.encoder.", f"{main}encoder/"
    ),
    *table.placed(
      unets.branch(nets.branch()), "ema_decoder.", f"{main}branch/"
    ),
  ]


def host(method: ddpm.DDPM) -> pieces.Table:
  """The UNet."""
  return table.placed(unets.network(method.net()), "", family.MAIN)


FAMILIES = {
  "diti": family.Family(
    library="authors",
    methods=("diffusion.diti",),
    table=trained,
    containers=("",),
    ignored=(rf"^ema_decoder\.{FROZEN}\.", BESIDE, r"^ema_ssl"),
  ),
  "pdae_host": family.Family(
    library="authors",
    methods=("diffusion.ddpm",),
    table=host,
    containers=("ema_denoise_fn.", "ema_decoder.", ""),
    ignored=(r"^label_emb\.", "^shift_"),
    fixed={
      "dims.scale_shift": True,
      "dims.updown": True,
      "labels.classes": 0,
      "prediction": "eps",
      "noise.learn_variance": False,
    },
    check=lambda method: unets.objection(method.dims),
  ),
}
