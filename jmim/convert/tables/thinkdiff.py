"""The projector of ThinkDiff (MiZhenxing/ThinkDiff@3ed85e6).

Its norm is stored whole there: `projector.norm=own`. The frozen networks beside
it have families of their own (`hf_t5`).
"""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.text import thinkdiff


def full(method: thinkdiff.ThinkDiff) -> pieces.Table:
  """Two linear maps, a GELU between them, and the norm."""
  del method
  theirs, ours = "mm_projector", "project"
  norm = table.Rule(theirs=f"{theirs}.3.weight", ours=f"{ours}/norm/scale")
  return [
    *pieces.dense(f"{theirs}.0", f"{ours}/maps/fc1"),
    *pieces.dense(f"{theirs}.2", f"{ours}/maps/fc2"),
    norm,
  ]


FAMILIES = {
  "thinkdiff": family.Family(
    library="authors",
    methods=("text.thinkdiff",),
    table=family.main(full),
    ignored=(r"^(language_model|vision_model|mllama)\.",),
    fixed={"projector.norm": "own"},
  )
}
