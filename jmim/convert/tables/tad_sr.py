"""Weights of TAD-SR (LearningHx/TAD-SR): the student, and its discriminator.

Names are those of the golden files, "net." and "disc."; a file of the student
alone has ResShift's. Of convolutions with a spectral norm `weight_orig` is what
is trained; `weight`, beside it, is what was left of the last call.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import resshift
from jmim.methods.restore import tad_sr
from jmim.nn.nets import timed_heads

# torch's convolution along one axis [out, in, place]; flax's [place, in, out].
ALONG = ops.Op(lambda w: w.transpose(2, 1, 0), lambda w: w.transpose(2, 1, 0))
# Ours -> theirs: convolutions with a spectral norm, below a head.
SPECTRAL = {"first": "main.0.0", "inner": "main.1.fn.0", "out": "cls"}
STALE = "|".join(name.replace(".", r"\.") for name in SPECTRAL.values())
# Our leaves that a file of the student lacks.
CRITIC = ("^params/discriminator/", "^extra/spectral/")


def along(reach: int) -> ops.Op:
  """Direction v of a norm: (in place) there, [place, in] here."""
  return ops.Op(lambda v: v.reshape(-1, reach).T, lambda v: v.T.ravel())


def norms(head: int) -> pieces.Table:
  """Directions of the spectral norms of a head; our names have no prefix."""
  rules: pieces.Table = []
  for ours, theirs in SPECTRAL.items():
    reach = timed_heads.REACH if ours == "inner" else 1
    there, here = f"heads.{head}.{theirs}.weight", f"head{head}/{ours}/kernel"
    rules += [
      table.Rule(theirs=f"{there}_u", ours=f"{here}/u"),
      table.Rule(theirs=f"{there}_v", ours=f"{here}/v", op=along(reach)),
    ]
  return rules


def head(i: int, timed: bool) -> pieces.Table:
  """Parameters of a head; our names have no prefix."""
  ours = f"head{i}"
  rules = [
    *pieces.norm(f"out_layers.{i}.0", f"{ours}/norm"),
    *pieces.dense(f"out_layers.{i}.3", f"{ours}/conv", op=ops.CONV),
    *pieces.norm(f"heads.{i}.main.0.1", f"{ours}/norm0"),
    *pieces.norm(f"heads.{i}.main.1.fn.1", f"{ours}/norm1"),
  ]
  if timed:
    rules += pieces.dense(f"emb_layers.{i}.1", f"{ours}/time")
  for name, theirs in SPECTRAL.items():
    there, here = f"heads.{i}.{theirs}", f"{ours}/{name}"
    rules += [
      table.Rule(
        theirs=f"{there}.weight_orig", ours=f"{here}/kernel", op=ALONG
      ),
      table.Rule(theirs=f"{there}.bias", ours=f"{here}/bias"),
    ]
  return rules


def full(method: tad_sr.TADSR) -> pieces.Table:
  """Both players, and the directions of the norms."""
  rules = table.placed(resshift.network(method), "net.", "params/student/")
  for i in range(len(method.critic.taps) + 1):
    own = head(i, method.critic.timed)
    rules += table.placed(own, "disc.", "params/discriminator/")
    rules += table.placed(norms(i), "disc.", "extra/spectral/")
  return rules


FAMILIES = {
  "tad_sr": family.Family(
    library="authors",
    methods=("restore.tad_sr",),
    table=full,
    containers=("state_dict.module.", "state_dict.", "module.", ""),
    aliases=((r"^(?!net\.|disc\.)", "net."),),
    ignored=(*resshift.COMPUTED, rf"^disc\.heads\.\d+\.({STALE})\.weight$"),
    optional=CRITIC,
    check=resshift.objection,
  )
}
