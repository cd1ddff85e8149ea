"""Weights of the authors' NViST (wbjang/nvist_official)."""

import numpy as np

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.scene import nvist
from jmim.nn.nets import nvist as nets

# Norms that their networks hold and do not apply.
UNREAD = (
  r"^encoder\.norm\.",
  r"^decoder\.blocks\.\d*[13579]\.norm_[kv]\.",
)


def block(i: int, net: nets.Decoder) -> pieces.Table:
  """Block i of the decoder; norms that are not applied are in the file too."""
  theirs, ours = f"decoder.blocks.{i}", f"decoder/block_{i}"
  told = i % 2 == 0 or not net.modulated
  if net.modulated:
    rules = pieces.dense(f"{theirs}.adaLN_modulation.1", f"{ours}/modulation")
  else:
    rules = [
      rule
      for name in ("norm1", "norm2")
      for rule in pieces.norm(f"{theirs}.{name}", f"{ours}/{name}")
    ]
  for name in ("q", "k", "v", "proj"):
    rules += pieces.dense(f"{theirs}.attn.{name}", f"{ours}/attn/{name}")
  for name in ("norm_k", "norm_v") if net.own_norms else ():
    norm = f"{theirs}.{name}"
    if told:
      rules += pieces.norm(norm, f"{ours}/{name}")
    else:
      rules += plain(norm, net.size.width)
  return rules + pieces.mlp(f"{theirs}.mlp", f"{ours}/mlp")


def plain(theirs: str, width: int) -> pieces.Table:
  """A norm that their networks hold and do not apply."""
  return [
    table.Constant(
      theirs=f"{theirs}.{leaf}",
      value=np.full(width, value, np.float32),
      unused=True,
    )
    for leaf, value in (("weight", 1.0), ("bias", 0.0))
  ]


def full(method: nvist.NViST) -> pieces.Table:
  """All of it; LPIPS is another file."""
  decoder = method.nets[1]
  same = (
    ("output_token", "output_token"),
    ("encoded_patches_pos_embed", "places"),
  )
  rules = [
    *encoder(method),
    table.Constant(
      theirs="decoder.decoder_pos_embed",
      value=np.asarray(decoder.positions()),
    ),
    *(table.Rule(theirs=f"decoder.{a}", ours=f"decoder/{b}") for a, b in same),
    *pieces.dense("decoder.camera_params_embed.0", "decoder/camera1"),
    *pieces.dense("decoder.camera_params_embed.2", "decoder/camera2"),
  ]
  for i in range(decoder.size.depth):
    rules += block(i, decoder)
  for a, b in (("out_norm", "plane"), ("vector_norm", "line")):
    rules += pieces.norm(f"decoder.decoder_{a}.0", f"decoder/{b}_norm")
  for a, b in (("pred", "plane"), ("vector_pred", "line")):
    for k in nets.KINDS:
      rules += pieces.dense(f"decoder.decoder_{a}.{k}", f"decoder/{b}_{k}")
  layers = (("matrix.1", "matrix"), ("mlp.0", "fc1"), ("mlp.2", "fc2"))
  for a, b in layers:
    rules += pieces.dense(f"renderer.rgb_{a}", f"colours/{b}")
  return rules


def encoder(method: nvist.NViST) -> pieces.Table:
  """MAE's, with a norm after it that is not applied."""
  rules = table.placed(pieces.encoder(method.nets[0]), "encoder.", "encoder/")
  return [*rules, *plain("encoder.norm", method.dims.size.width)]


def check(method: nvist.NViST) -> str | None:
  """What is wrong with a method whose decoder is not in such files."""
  if not method.planes.told:
    return "planes.told=False, the comparison, which is not in such files"
  return None


FAMILIES = {
  "nvist": family.Family(
    library="authors",
    methods=("scene.nvist",),
    table=family.main(full),
    ignored=UNREAD,
    check=check,
    images=False,
  )
}
