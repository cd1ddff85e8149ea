"""Weights of the authors' MAR (LTH14/mar)."""

import einops

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.latent import mar


def _swapped(channels: int, patch: int, pattern: str) -> ops.Op:
  """Numbers of a token, channel first there, last here.

  Args:
    channels: c of a latent.
    patch: side p of a token.
    pattern: of einops, theirs to ours, with (c p q) and (p q c).
  """
  sizes = dict(c=channels, p=patch, q=patch)
  back = " -> ".join(reversed(pattern.split(" -> ")))
  return ops.Op(
    lambda x: einops.rearrange(x, pattern, **sizes),
    lambda x: einops.rearrange(x, back, **sizes),
  )


def head(method: mar.MAR) -> pieces.Table:
  """The diffusion model of a token."""
  form = lambda pattern: _swapped(method.channels, method.patch, pattern)
  theirs, ours = "res_blocks.{i}", "blocks/layers"
  kernel = form("d (c p q) -> (p q c) d")
  # Noise and variance one after the other, each with all numbers of a token.
  last = "final_layer.linear"
  rules = [
    *pieces.dense("input_proj", "embed", op=kernel),
    *pieces.dense("time_embed.mlp.0", "time_embed/fc1"),
    *pieces.dense("time_embed.mlp.2", "time_embed/fc2"),
    *pieces.dense("cond_embed", "cond_embed"),
    *pieces.norm(f"{theirs}.in_ln", f"{ours}/norm"),
    *pieces.dense(f"{theirs}.mlp.0", f"{ours}/fc1"),
    *pieces.dense(f"{theirs}.mlp.2", f"{ours}/fc2"),
    *pieces.dense(f"{theirs}.adaLN_modulation.1", f"{ours}/modulation"),
    *pieces.dense("final_layer.adaLN_modulation.1", "modulation"),
    table.Rule(
      theirs=f"{last}.weight",
      ours="pred/kernel",
      op=form("(v c p q) d -> d (v p q c)"),
    ),
    table.Rule(
      theirs=f"{last}.bias",
      ours="pred/bias",
      op=form("(v c p q) -> (v p q c)"),
    ),
  ]
  return table.placed(rules, "diffloss.net.", "head/")


def full(method: mar.MAR) -> pieces.Table:
  """Encoder, decoder and head."""
  kernel = _swapped(method.channels, method.patch, "d (c p q) -> (p q c) d")
  same = lambda theirs, ours: table.Rule(theirs=theirs, ours=ours)
  net = [
    table.Rule(
      theirs=("class_emb.weight", "fake_latent"),
      ours="label_embed/embedding",
      axis=0,
      sizes=(method.labels.classes, 1),
    ),
    *pieces.dense("z_proj", "embed", op=kernel),
    *pieces.norm("z_proj_ln", "norm_embed"),
    same("encoder_pos_embed_learned", "pos_embed"),
    *pieces.block("encoder_blocks.{i}", "encoder/layers"),
    *pieces.norm("encoder_norm", "encoder_norm"),
    *pieces.dense("decoder_embed", "decoder_embed"),
    same("mask_token", "mask_token"),
    same("decoder_pos_embed_learned", "decoder_pos_embed"),
    *pieces.block("decoder_blocks.{i}", "decoder/layers"),
    *pieces.norm("decoder_norm", "decoder_norm"),
    same("diffusion_pos_embed_learned", "diffusion_pos_embed"),
  ]
  return [*table.placed(net, "", "net/"), *head(method)]


FAMILIES = {
  "mar": family.Family(
    library="authors",
    methods=("latent.mar",),
    table=family.main(full),
    containers=("model_ema.", "model.", ""),
    fixed={
      "head.kind": "diffusion",
      "head.prediction.kind": "eps",
      "noise.learn_variance": True,
    },
    check=lambda method: (
      None if method.labels.classes else "labels.classes=0: they have some"
    ),
  ),
}
