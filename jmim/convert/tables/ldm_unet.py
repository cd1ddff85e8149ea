"""Weights of latent diffusion's second stage (CompVis/latent-diffusion)."""

import einops

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.latent import ldm
from jmim.nn.nets import unet as nets


def heads_first(heads: int) -> tuple[ops.Op, ops.Op]:
  """(kernel, bias) of q, k and v, which alternate head by head there.

  Args:
    heads: h; rows there are (h three d), columns here (three h d).
  """
  there, here = "(h three d)", "(three h d)"
  size = dict(h=heads, three=3)
  return (
    ops.Op(
      lambda w: einops.rearrange(w, f"{there} c 1 -> c {here}", **size),
      lambda w: einops.rearrange(w, f"c {here} -> {there} c 1", **size),
    ),
    ops.Op(
      lambda b: einops.rearrange(b, f"{there} -> {here}", **size),
      lambda b: einops.rearrange(b, f"{here} -> {there}", **size),
    ),
  )


def res(theirs: str, ours: str, skip: bool) -> pieces.Table:
  """A residual block, `skip`: with a convolution beside it."""
  rules = [
    *pieces.norm(f"{theirs}.in_layers.0", f"{ours}/norm1"),
    *pieces.dense(f"{theirs}.in_layers.2", f"{ours}/conv1", op=ops.CONV),
    *pieces.dense(f"{theirs}.emb_layers.1", f"{ours}/time"),
    *pieces.norm(f"{theirs}.out_layers.0", f"{ours}/norm2"),
    *pieces.dense(f"{theirs}.out_layers.3", f"{ours}/conv2", op=ops.CONV),
  ]
  if skip:
    name = f"{theirs}.skip_connection"
    rules += pieces.dense(name, f"{ours}/skip", op=ops.CONV)
  return rules


def attention(depth: int, heads: int, theirs: str, ours: str) -> pieces.Table:
  """Self-attention, or a transformer of cross-attention to the context.

  Args:
    depth: blocks of the transformer; 0: self-attention.
    heads: h, where q, k and v are dealt out head by head; 0: q of all heads
      comes first.
    theirs: name of the layer.
    ours: name of the layer.
  """
  rules = pieces.norm(f"{theirs}.norm", f"{ours}/norm")
  if not depth:
    kernel, bias = heads_first(heads) if heads else (ops.POINT1D, ops.SAME)
    qkv, fused = f"{theirs}.qkv", f"{ours}/attn/qkv"
    return [
      *rules,
      table.Rule(theirs=f"{qkv}.weight", ours=f"{fused}/kernel", op=kernel),
      table.Rule(theirs=f"{qkv}.bias", ours=f"{fused}/bias", op=bias),
      *pieces.dense(f"{theirs}.proj_out", f"{ours}/attn/proj", op=ops.POINT1D),
    ]
  for name in ("proj_in", "proj_out"):
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op=ops.POINT)
  for i in range(depth):
    rules += _transformer(f"{theirs}.transformer_blocks.{i}", ours, i)
  return rules


def _transformer(theirs: str, ours: str, i: int) -> pieces.Table:
  """Block i of self-attention, cross-attention and an MLP."""
  rules: pieces.Table = []
  for n in (1, 2, 3):
    rules += pieces.norm(f"{theirs}.norm{n}", f"{ours}/norm{n}_{i}")
  for name, layer in (("attn1", f"self_{i}"), ("attn2", f"cross_{i}")):
    for x in "qkv":
      there, here = f"{theirs}.{name}.to_{x}", f"{ours}/{layer}/{x}"
      rules += pieces.dense(there, here, bias=False)
    rules += pieces.dense(f"{theirs}.{name}.to_out.0", f"{ours}/{layer}/proj")
  rules += pieces.dense(f"{theirs}.ff.net.0.proj", f"{ours}/fc1_{i}")
  rules += pieces.dense(f"{theirs}.ff.net.2", f"{ours}/fc2_{i}")
  return rules


def network(net: nets.UNet, by_head: bool = True) -> pieces.Table:
  """The whole UNet; our names without a prefix.

  They count what goes down ("input_blocks") and up ("output_blocks") in one
  row each, resampling included in the former.

  Args:
    net: the network.
    by_head: q, k and v of self-attention are dealt out head by head, as in all
      published weights; else (`use_new_attention_order`) q of all heads first.
  """
  rules = pieces.dense("time_embed.0", "time_embed/fc1")
  rules += pieces.dense("time_embed.2", "time_embed/fc2")
  if net.classes:
    name = "label_embed/embedding"
    rules.append(table.Rule(theirs="label_emb.weight", ours=name))
  rules += pieces.dense("input_blocks.0.0", "conv_in", op=ops.CONV)
  widths = [times * net.width for times in net.multipliers]
  # Widths of what goes up beside: each upward block reads one more of them.
  skips = [net.width]
  at, width = 1, net.width
  for level, new in enumerate(widths):
    for i in range(net.blocks):
      rules += _stage(
        net,
        level,
        theirs=f"input_blocks.{at}",
        ours=f"down{level}_{i}",
        widths=(width, new),
        heads=net.heads_at(new) * by_head,
      )
      at, width = at + 1, new
      skips.append(width)
    if level + 1 < len(widths):
      where = f"input_blocks.{at}.0"
      rules += _resample(
        net, where, convolution="op", ours=f"down{level}", how="half"
      )
      at += 1
      skips.append(width)
  rules += res("middle_block.0", "middle_0", False)
  heads = net.heads_at(width) * by_head
  rules += attention(
    net.transformer, heads, "middle_block.1", "middle_attention"
  )
  rules += res("middle_block.2", "middle_1", False)
  return rules + _upward(net, widths, skips, by_head)


def _upward(
  net: nets.UNet, widths: list[int], skips: list[int], by_head: bool
) -> pieces.Table:
  """The second half, coarsest level first, and the last layers.

  Args:
    net: the network.
    widths: channels of each level.
    skips: channels of what the first half leaves, used up from the end.
    by_head: see `network`.
  """
  rules: pieces.Table = []
  at, width = 0, widths[-1]
  for level, new in reversed(list(enumerate(widths))):
    for i in range(net.blocks + 1):
      theirs, ours = f"output_blocks.{at}", f"up{level}"
      rules += _stage(
        net,
        level,
        theirs=theirs,
        ours=f"{ours}_{i}",
        widths=(width + skips.pop(), new),
        heads=net.heads_at(new, up=True) * by_head,
      )
      at, width = at + 1, new
      if level and i == net.blocks:  # resampling comes last in its block
        where = f"{theirs}.{1 + (2**level in net.attend_at)}"
        rules += _resample(
          net, where, convolution="conv", ours=ours, how="twice"
        )
  rules += pieces.norm("out.0", "norm_out")
  return rules + pieces.dense("out.2", "conv_out", op=ops.CONV)


def _stage(
  net: nets.UNet,
  level: int,
  theirs: str,
  ours: str,
  widths: tuple[int, int],
  heads: int,
) -> pieces.Table:
  """A residual block between two widths and, at some levels, attention."""
  width, new = widths
  rules = res(f"{theirs}.0", ours, new != width)
  if 2**level in net.attend_at:
    rules += attention(
      net.transformer, heads, f"{theirs}.1", f"{ours}_attention"
    )
  return rules


def _resample(
  net: nets.UNet, theirs: str, convolution: str, ours: str, how: str
) -> pieces.Table:
  """Between two levels; without convolutions there is nothing to convert.

  Args:
    net: the network.
    theirs: name of the block.
    convolution: name of a convolution in it.
    ours: name of the level.
    how: "half" or "twice".
  """
  if net.updown:
    return res(theirs, f"{ours}_{how}", False)
  if not net.resample_conv:
    return []
  return pieces.dense(f"{theirs}.{convolution}", f"{ours}_conv", op=ops.CONV)


def full(method: ldm.LDM) -> pieces.Table:
  """`model.diffusion_model` of the authors' checkpoints, and the classes.

  Other contexts than that of classes are not covered.
  """
  theirs, ours = "model.diffusion_model.", f"{family.MAIN}net/"
  rules = table.placed(network(method.net()), theirs, ours)
  if method.condition.task == "class":
    name = f"{family.MAIN}condition/classes"
    rules.append(
      table.Rule(theirs="cond_stage_model.embedding.weight", ours=name)
    )
  return rules


FAMILIES = {
  "ldm": family.Family(
    library="authors",
    methods=("latent.ldm",),
    table=full,
    containers=("state_dict.", ""),
    ignored=(
      r"^(first_stage_model|cond_stage_model|model_ema)\.",
      "^(betas|alphas|sqrt_|log_|posterior_|lvlb_|logvar)",
      "^scale_factor$",
    ),
    unsupported=(
      "^extra/scale$",
      "^params/main/(log_var|condition/(tokens|segments))",
    ),
  )
}
