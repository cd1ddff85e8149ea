"""Weights of both stages of DiGIT (DAMO-NLP-SG/DiGIT, fairseq).

A checkpoint holds the frozen tokenizers too, which are none of ours. Learned
positions begin at row 2 of 1026 there (fairseq counts from the id of padding);
rows that no code stands at are zeros in what is written. Codebooks are .npy
files: `python -m jmim.tools.make_codebook --npy`.
"""

import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.discrete import digit
from jmim.methods.discrete import digit_pixels

ROWS, FIRST = 1026, 2


def positions(n: int) -> ops.Op:
  """Their table of positions [1026, d] <-> the n rows that are used.

  Args:
    n: places, at most 1024.
  """
  return ops.Op(
    lambda x: x[FIRST : FIRST + n],
    lambda x: np.pad(x, ((FIRST, ROWS - FIRST - n), (0, 0))),
  )


def full(method: digit.DiGIT | digit_pixels.DiGITPixels) -> pieces.Table:
  """The language model."""
  theirs, ours = "decoder.layers.{i}", "decoder/blocks/layers"
  net, rule = method.net, table.Rule
  place = lambda name, own, n: rule(
    theirs=f"decoder.{name}.weight", ours=own, op=positions(n)
  )
  made = [
    rule(theirs="decoder.embed_tokens.weight", ours="embed/embedding"),
    place("embed_positions", "pos_embed", net.length),
    *(
      rule
      for name, own in zip(
        ("q_proj", "k_proj", "v_proj", "out_proj"),
        ("q", "k", "v", "proj"),
        strict=True,
      )
      for rule in pieces.dense(
        f"{theirs}.self_attn.{name}", f"{ours}/attn/{own}"
      )
    ),
    *pieces.norm(f"{theirs}.self_attn_layer_norm", f"{ours}/norm1"),
    *pieces.mlp(theirs, f"{ours}/mlp"),
    *pieces.norm(f"{theirs}.final_layer_norm", f"{ours}/norm2"),
    *pieces.dense("decoder.output_projection", "head", bias=False),
  ]
  if net.prefix:
    made.append(place("embed_positions_1", "pos_prefix", net.prefix))
  if not net.post:
    made += pieces.norm("decoder.layer_norm", "decoder/norm")
  return made


def _check(method):
  """Why its sequences are too long for them, or None."""
  longest = max(method.net.length, method.net.prefix)
  if longest > ROWS - FIRST:
    return f"{longest} tokens: they have {ROWS - FIRST} places"
  return None


def _family(name: str) -> family.Family:
  """Of the method of that name."""
  return family.Family(
    library="authors",
    methods=(name,),
    table=family.main(full),
    containers=("model.", ""),
    ignored=(
      r"^pretrained_encoder\.",
      r"^vqgan\.",
      r"^centroids$",
      r"^centroid_norm$",
      r"^decoder\.version$",
    ),
    check=_check,
  )


FAMILIES = {
  "digit": _family("discrete.digit"),
  "digit_pixels": _family("discrete.digit_pixels"),
}
