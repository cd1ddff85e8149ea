"""Weights of Step-Video's transformer (stepfun-ai/Step-Video-T2V).

Their q, k and v of a head stand side by side, head after head; here those of
all heads do. Learned vectors of labels are no part of such files. Theirs embed
a rate wherever they embed sizes; a method that is told none leaves it out.
"""

import einops

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.video import step_video
from jmim.nn.nets import video_dit

NET = "params/main/net/"
METHOD = "video.step_video"
RATE = r"^adaln_single\.emb\.fps_embedder\."


def by_head(heads: int, parts: int) -> ops.Op:
  """torch's [(h parts d), in] <-> ours [in, (parts h d)].

  Args:
    heads: h.
    parts: 3: q, k and v; 2: k and v.
  """
  sizes = dict(h=heads, parts=parts)
  return ops.Op(
    lambda x: einops.rearrange(x, "(h parts d) i -> i (parts h d)", **sizes),
    lambda x: einops.rearrange(x, "i (parts h d) -> (h parts d) i", **sizes),
  )


def norms(theirs: str, ours: str) -> pieces.Table:
  """RMSNorms of q and k."""
  return [
    table.Rule(
      theirs=f"{theirs}.{n}_norm.weight", ours=f"{ours}/{n}_norm/scale"
    )
    for n in "qk"
  ]


def block(heads: int) -> pieces.Table:
  """A block, in names below that of the block."""
  bare = lambda theirs, ours: pieces.dense(theirs, ours, bias=False)
  both = ("cross/k/kernel", "cross/v/kernel")
  qkv, kv = by_head(heads, 3), by_head(heads, 2)
  return [
    table.Rule(theirs="scale_shift_table", ours="table"),
    *pieces.norm("norm1", "norm1"),
    *pieces.dense("attn1.wqkv", "attn/qkv", op=qkv, bias=False),
    *bare("attn1.wo", "attn/proj"),
    *norms("attn1", "attn"),
    *bare("attn2.wq", "cross/q"),
    table.Rule(theirs="attn2.wkv.weight", ours=both, op=kv),
    *bare("attn2.wo", "cross/proj"),
    *norms("attn2", "cross"),
    *pieces.norm("norm2", "norm2"),
    *bare("ff.net.0.proj", "mlp/fc1"),
    *bare("ff.net.2", "mlp/fc2"),
  ]


def embedding(theirs: str, ours: str) -> pieces.Table:
  """The MLP of a number, below the embedding of all of them."""
  return pieces.mlp(
    f"adaln_single.emb.{theirs}_embedder", ours, ("linear_1", "linear_2")
  )


def network(net: video_dit.VideoDiT, clip: bool) -> pieces.Table:
  """The whole network.

  Args:
    net: the network.
    clip: it is told CLIP's features, too.
  """
  rules = [
    *pieces.dense("pos_embed.proj", "patch_embed", ops.patch_conv(net.patch)),
    *embedding("timestep", "time_embed"),
    *pieces.dense("adaln_single.linear", "modulation"),
    *pieces.dense("caption_projection.linear_1", "text_fc1"),
    *pieces.dense("caption_projection.linear_2", "text_fc2"),
    *table.placed(
      block(net.size.heads), "transformer_blocks.{i}.", "blocks/layers/"
    ),
    table.Rule(theirs="scale_shift_table", ours="table"),
    *pieces.dense("proj_out", "pred"),
  ]
  if clip:
    rules += pieces.dense("clip_projection", "clip_embed")
  if net.sizes_told != "none":
    rules += embedding("resolution", "size_embed")
    rules += embedding("nframe", "frames_embed")
  if net.sizes_told == "rate":
    rules += embedding("fps", "rate_embed")
  return rules


def full(method: step_video.StepVideo) -> pieces.Table:
  """The network of a method."""
  made = network(method.net, bool(method.told.clip_length))
  return table.placed(made, "", NET)


def _stored(method: step_video.StepVideo) -> str | None:
  """What is wrong with a method whose texts are not in such files."""
  if method.told.kind != "stored":
    return f"told.kind {method.told.kind!r}: theirs reads 'stored' features"
  return None


FAMILIES = {
  "step_video": family.Family(
    library="authors",
    methods=(METHOD,),
    table=full,
    containers=("model.", "module.", ""),
    ignored=(RATE,),
    check=_stored,
  )
}
