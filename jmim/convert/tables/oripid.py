"""OriPID (WangWenhao0716/ID2): W, and the prototypes it was trained with.

What is published is W alone, as a tensor without a name; a checkpoint of their
training has it as base.0.fc1 beside the classifier. Its columns are a latent
[c, h, w], where ours are [h, w, c].
"""

import einops

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import table
from jmim.methods.edit import oripid

W, PROTOTYPES = "base.0.fc1.weight", "classifier.weight"


def columns(size: int, channels: int) -> ops.Op:
  """Their map [out, (c h w)] <-> ours [(h w c), out].

  Args:
    size: side of the latents.
    channels: of these.
  """
  sizes = dict(c=channels, h=size, w=size)
  return ops.Op(
    lambda x: einops.rearrange(x, "o (c h w) -> (h w c) o", **sizes),
    lambda x: einops.rearrange(x, "(h w c) o -> o (c h w)", **sizes),
  )


def full(method: oripid.OriPID) -> list[table.Rule]:
  """W and the prototypes."""
  op = columns(method.size, method.channels)
  return [
    table.Rule(theirs=W, ours="map/kernel", op=op),
    table.Rule(theirs=PROTOTYPES, ours="prototypes"),
  ]


FAMILIES = {
  "oripid": family.Family(
    library="authors",
    methods=("edit.oripid",),
    table=family.main(full),
    containers=("state_dict.module.", "module.", ""),
    aliases=((r"^$", W),),
    optional=(rf"^{family.MAIN}prototypes$",),
    fixed={"convolutions": 0},
  )
}
