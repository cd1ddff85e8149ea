"""Layers of the UNet of CompVis/latent-diffusion and guided-diffusion.

`theirs` and `ours` are the names of a layer on either side.
"""

from collections.abc import Sequence

import einops

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table


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


# What a code does, in `nn.unet` -> their layer of it in a residual block.
CODES = {"scale": "emb_z_layers.1", "gain": "cond_emb_layers.1"}


def res(
  theirs: str, ours: str, skip: bool, code: str = "", *, single: bool = False
) -> pieces.Table:
  """A residual block.

  Args:
    theirs: name of the block.
    ours: name of the block.
    skip: with a convolution beside it.
    code: what a code does there, of `CODES` (PDAE, Diff-AE); else nothing.
    single: its first convolution is all there is.
  """
  rules = [
    *pieces.norm(f"{theirs}.in_layers.0", f"{ours}/norm1"),
    *pieces.dense(f"{theirs}.in_layers.2", f"{ours}/conv1", op=ops.CONV),
  ]
  if not single:
    rules += [
      *pieces.dense(f"{theirs}.emb_layers.1", f"{ours}/time"),
      *pieces.norm(f"{theirs}.out_layers.0", f"{ours}/norm2"),
      *pieces.dense(f"{theirs}.out_layers.3", f"{ours}/conv2", op=ops.CONV),
    ]
  if code in CODES:
    rules += pieces.dense(f"{theirs}.{CODES[code]}", f"{ours}/code")
  if skip:
    name = f"{theirs}.skip_connection"
    rules += pieces.dense(name, f"{ours}/skip", op=ops.CONV)
  return rules


def attention(
  depth: int, heads: int, theirs: str, ours: str, *, linear: bool = False
) -> pieces.Table:
  """Self-attention, or a transformer of cross-attention to the context.

  Args:
    depth: blocks of the transformer; 0: self-attention.
    heads: h, where q, k and v are dealt out head by head; 0: q of all heads
      comes first.
    theirs: name of the layer.
    ours: name of the layer.
    linear: the maps around a transformer are written as linear ones, not as
      convolutions (Stable Diffusion 2).
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
  op = ops.LINEAR if linear else ops.POINT
  for name in ("proj_in", "proj_out"):
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op=op)
  for i in range(depth):
    rules += block(f"{theirs}.transformer_blocks.{i}.", f"{ours}/", f"_{i}")
  return rules


def block(
  theirs: str,
  ours: str,
  suffix: str = "",
  *,
  bias: bool = False,
  scales: Sequence[str] = (),
) -> pieces.Table:
  """`nn.context_block.Block`: Stable Diffusion's, scales as DiffFit names them.

  Args:
    theirs: prefix of its layers, with its dot.
    ours: prefix of its layers, with its slash.
    suffix: of our names.
    bias: on q, k and v.
    scales: which there are, see `Block`.
  """
  rules: pieces.Table = []
  for n in (1, 2, 3):
    rules += pieces.norm(f"{theirs}norm{n}", f"{ours}norm{n}{suffix}")
  for name, layer in (("attn1", "self"), ("attn2", "cross")):
    there, here = f"{theirs}{name}", f"{ours}{layer}{suffix}"
    for x in "qkv":
      rules += pieces.dense(f"{there}.to_{x}", f"{here}/{x}", bias=bias)
    rules += pieces.dense(f"{there}.to_out.0", f"{here}/proj")
    if "attention" in scales:
      names = [f"gamma_{x}" for x in ("q", "k", "v", "fnn")]
      rules += [
        table.Rule(theirs=f"{there}.processor.{x}", ours=f"{here}/{x}")
        for x in names
      ]
  if "block" in scales:
    names = [f"gamma_{x}" for x in ("attn1", "attn2", "ff")]
    rules += [
      table.Rule(theirs=f"{theirs}{x}", ours=f"{ours}{x}{suffix}")
      for x in names
    ]
  rules += pieces.dense(f"{theirs}ff.net.0.proj", f"{ours}fc1{suffix}")
  return rules + pieces.dense(f"{theirs}ff.net.2", f"{ours}fc2{suffix}")
