"""Counts that the authors' DiffRate (OpenGVLab/DiffRate) has learned.

Their checkpoints hold the classifier too, with timm's names (DeiT: `timm_vit`)
or MAE's (`mae_finetuned`), which is a run of its own here; its names are
ignored. So are the candidates, which we compute, and what there is of blocks
that are not compressed.
"""

import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.parts import token_counts
from jmim.methods.supervised import diffrate


def counts(method: diffrate.DiffRate) -> pieces.Table:
  """theta of the blocks that are compressed, and their candidates."""
  patches, blocks = method.extent
  candidates = np.asarray(method.counts.candidates(patches))
  rows = method.counts.compressed(blocks)
  row, rules = ops.Op(lambda x: x[None], lambda x: x[0]), []
  for kind in token_counts.KINDS:
    ddp = [f"blocks.{i}.{kind}_ddp" for i in rows]
    theirs = tuple(f"{name}.selected_probability" for name in ddp)
    rules.append(table.Rule(theirs=theirs, ours=kind, op=row, axis=0))
    rules += [
      table.Constant(theirs=f"{name}.kept_token_candidate", value=candidates)
      for name in ddp
    ]
  return rules


FAMILIES = {
  "diffrate": family.Family(
    library="authors",
    methods=("supervised.diffrate",),
    table=family.main(counts),
    ignored=(
      r"^(cls_token|pos_embed|(patch_embed|norm|fc_norm|head)\.)",
      r"^blocks\.\d+\.(norm1|attn|norm2|mlp)\.",
      r"^blocks\.\d+\.(prune|merge)_ddp\.",
    ),
  )
}
