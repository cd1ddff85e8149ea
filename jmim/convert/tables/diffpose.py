"""Weights of DiffPose (bastianwandt/DiffPose): denoiser and condition.

A checkpoint has the network as "model." and its EMA as "ema."; its norms and
its confidences are never used, and its schedule is computed here.
"""

import numpy as np

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _torch
from jmim.methods.pose import diffpose

BLOCK = "condition_emb.transformer.layers.{i}"
MOST = 2  # residual blocks of the authors' denoiser, numbered from 1


def layer(theirs: str, ours: str) -> pieces.Table:
  """torch's TransformerEncoderLayer, post-norm."""
  return [
    *_torch.attention(f"{theirs}.self_attn", f"{ours}/attn"),
    *pieces.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *pieces.mlp(theirs, f"{ours}/mlp", ("linear1", "linear2")),
    *pieces.norm(f"{theirs}.norm2", f"{ours}/norm2"),
  ]


def full(method: diffpose.DiffPose) -> pieces.Table:
  """Both networks; the centres of the code are checked, not imported."""
  channels = method.condition.channels
  centres = np.linspace(-1, 1, channels, dtype=np.float32)
  rows = "condition_emb.joint_embedding.weight"
  rules = [
    table.Constant(theirs="condition_emb.pos_encoder.centers", value=centres),
    *pieces.dense("condition_emb.pos_proj", "encoder/project"),
    table.Rule(theirs=rows, ours="encoder/joint_embed"),
    *pieces.dense("condition_emb.pos_out", "encoder/out"),
    *pieces.dense("denoise_fn.upscale", "denoiser/embed"),
    *pieces.dense("denoise_fn.pose", "denoiser/out"),
  ]
  if method.condition.depth:
    rules += layer(BLOCK, "encoder/blocks/layers")
  for i in range(method.blocks):
    theirs, ours = f"denoise_fn.res_pose{i + 1}", f"denoiser/block{i}"
    rules += pieces.mlp(theirs, ours, ("l1", "l2"))
  return rules


FAMILIES = {
  "diffpose": family.Family(
    library="authors",
    methods=("pose.diffpose",),
    table=family.main(full),
    containers=("model.", "module.", ""),
    ignored=(
      r"^denoise_fn\.res_pose\d+\.bn\d\.",
      r"^condition_emb\.conf_out\.",
      r"^(p2_loss_weight|betas|(log_|sqrt_)?\w*alphas_cumprod\w*)$",
      r"^posterior_\w+$",
    ),
    fixed={"blocks": MOST},
    images=False,
  )
}
