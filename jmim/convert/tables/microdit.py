"""Weights of the authors' MicroDiT (SonyResearch/micro_diffusion).

Blocks of unequal shape are not stacked here, so each has rules of its own.
"""

import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.diffusion import microdit
from jmim.nn import posemb
from jmim.nn.nets import micro_dit


def _scale(theirs: str, ours: str) -> pieces.Table:
  """A norm without shift."""
  return [table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/scale")]


def _swiglu(theirs: str, ours: str, bias: bool) -> pieces.Table:
  names = {"w1": "gate", "w2": "up", "w3": "down"}
  return [
    rule
    for a, b in names.items()
    for rule in pieces.dense(f"{theirs}.{a}", f"{ours}/{b}", bias=bias)
  ]


def _normed_mlp(theirs: str, ours: str) -> pieces.Table:
  return pieces.mlp(theirs, ours) + _scale(f"{theirs}.norm", f"{ours}/norm")


def _attention(theirs: str, ours: str, bias: bool) -> pieces.Table:
  return [
    *pieces.dense(f"{theirs}.qkv", f"{ours}/qkv", bias=bias),
    *pieces.dense(f"{theirs}.proj", f"{ours}/proj", bias=bias),
  ]


def _cross(theirs: str, ours: str, bias: bool) -> pieces.Table:
  """k and v are one linear map there."""
  both = lambda leaf: (f"{ours}/k/{leaf}", f"{ours}/v/{leaf}")
  name = f"{theirs}.kv_linear"
  rules = pieces.dense(f"{theirs}.q_linear", f"{ours}/q", bias=bias)
  rules += pieces.dense(f"{theirs}.proj", f"{ours}/proj", bias=bias)
  kernel = table.Rule(
    theirs=f"{name}.weight", ours=both("kernel"), op=ops.LINEAR
  )
  biases = table.Rule(theirs=f"{name}.bias", ours=both("bias"))
  return [*rules, kernel, *[biases] * bias]


def _experts(theirs: str, ours: str) -> pieces.Table:
  """Matrices of all experts are one array on either side, laid out alike."""
  rules = pieces.dense(f"{theirs}.gate", f"{ours}/router", bias=False)
  names = {"w1": "up", "w2": "down"}
  return rules + [
    table.Rule(theirs=f"{theirs}.{a}", ours=f"{ours}/experts/{b}/kernel")
    for a, b in names.items()
  ]


def _block(
  theirs: str, ours: str, layer: micro_dit.Layer, bias: bool
) -> pieces.Table:
  rules = [
    *_attention(f"{theirs}.attn", f"{ours}/attn", bias),
    *_cross(f"{theirs}.cross_attn", f"{ours}/cross", bias),
    *pieces.dense(f"{theirs}.adaLN_modulation.1", f"{ours}/modulation"),
  ]
  for i in (1, 2, 3):
    rules += _scale(f"{theirs}.norm{i}", f"{ours}/norm{i}")
  if layer.experts:
    return rules + _experts(f"{theirs}.mlp", f"{ours}/ffn")
  return rules + _swiglu(f"{theirs}.mlp", f"{ours}/mlp", bias)


def _maps(bias: bool) -> pieces.Table:
  """Norms and linear maps around a mixer of another width."""
  names = {"xin": "mixer_in", "xout": "mixer_out", "y": "mixer_text"}
  rules: pieces.Table = []
  for a, b in names.items():
    theirs = f"patch_mixer_map_{a}"
    rules += _scale(f"{theirs}.0", f"{b}_norm")
    rules += pieces.dense(f"{theirs}.1", b, bias=bias)
  return rules


def full(method: microdit.MicroDiT) -> pieces.Table:
  """The whole network; the table of positions is checked."""
  net = method.patches.net(method.shape)
  places = posemb.sincos_2d(net.width, net.grid, step=net.step)
  filler = np.zeros((1, 1, net.patch**2 * net.out), np.float32)
  text, bias = "y_emb_preprocess", net.bias
  time = {"mlp.0": "fc1", "mlp.2": "fc2"}
  rules: pieces.Table = [
    table.Constant(theirs="pos_embed", value=places[None]),
    table.Constant(theirs="mask_token", value=filler),
    *pieces.dense(
      "x_embedder.proj", "patch_embed", op=ops.patch_conv(net.patch)
    ),
    *_normed_mlp("y_embedder.y_proj", "text_embed"),
    *_scale(f"{text}.norm1", "text_block/norm1"),
    *_attention(f"{text}.attn", "text_block/attn", bias),
    *_scale(f"{text}.norm2", "text_block/norm2"),
    *_swiglu(f"{text}.mlp", "text_block/mlp", bias),
    *_normed_mlp("pooled_y_emb_process", "text_pool"),
    *_scale("final_layer.norm_final", "norm"),
    *pieces.dense("final_layer.adaLN_modulation.1", "modulation"),
    *pieces.dense("final_layer.linear", "pred"),
  ]
  for a, b in time.items():
    rules += pieces.dense(f"t_embedder.{a}", f"time_embed/{b}")
  for i, layer in enumerate(net.layers):
    rules += _block(f"blocks.{i}", f"block_{i}", layer, bias)
  for i, layer in enumerate(net.mixer):
    rules += _block(f"patch_mixer.{i}", f"mixer_{i}", layer, bias)
  if net.maps:
    rules += _maps(bias)
  return table.placed(rules, "", "net/")


CAPTION = (f"^{family.MAIN}caption/",)  # words of our own

FAMILIES = {
  "microdit": family.Family(
    library="authors",
    methods=("diffusion.microdit",),
    table=family.main(full),
    containers=("dit.", "model.", ""),
    aliases=((r"^(module|dit)\.", ""),),
    unsupported=CAPTION,
    beside=CAPTION,
  )
}
