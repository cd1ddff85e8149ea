"""Weights of latent diffusion's second stage (CompVis/latent-diffusion)."""

import dataclasses
import functools

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.methods.latent import ldm


def full(method: ldm.LDM, linear: bool = False) -> pieces.Table:
  """`model.diffusion_model` of the authors' checkpoints, and the classes.

  Other contexts than that of classes are not covered: a text encoder is a run
  of its own (`jmim.convert.bundle`).
  """
  theirs, ours = "model.diffusion_model.", f"{family.MAIN}net/"
  rules = table.placed(unets.network(method.net(), linear=linear), theirs, ours)
  if method.condition.task == "class":
    name = f"{family.MAIN}condition/classes"
    rules.append(
      table.Rule(theirs="cond_stage_model.embedding.weight", ours=name)
    )
  return rules


# What else a checkpoint of a diffusion model holds, and what has no name there.
IGNORED = (
  r"^(first_stage_model|cond_stage_model|model_ema)\.",
  "^(betas|alphas|sqrt_|log_|posterior_|lvlb_|logvar)",
)
UNSUPPORTED = ("^params/main/(log_var|condition/(tokens|segments|text))",)

FIRST = family.Family(
  library="authors",
  methods=("latent.ldm",),
  table=full,
  containers=("state_dict.", ""),
  ignored=(*IGNORED, "^scale_factor$"),
  unsupported=("^extra/scale$", *UNSUPPORTED),
  check=lambda method: unets.objection(method.dims),
)
FAMILIES = {
  "ldm": FIRST,
  # Stable Diffusion 2.
  "ldm2": dataclasses.replace(
    FIRST, table=functools.partial(full, linear=True), priority=-1
  ),
}
