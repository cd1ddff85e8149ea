"""Whether one model can read the codes of another."""

import numpy as np

from jmim.diffusion import model
from jmim.diffusion import schedule
from jmim.methods.parts import code_sampler


def check(
  code: code_sampler.CodeSampler,
  source: model.Diffuser,
  target: model.Diffuser,
  skip: int = 0,
) -> None:
  """Raises ValueError unless noises of the source mean the same to the target.

  They do if both diffuse the same, along the same path, with noise.

  Args:
    code: sampler, the part `code` of a procedure.
    source: that encodes.
    target: that decodes.
    skip: first steps of the path that are left out.
  """
  for name in ("image", "shape"):
    ours, theirs = getattr(source, name), getattr(target, name)
    if ours != theirs:
      raise ValueError(f"source of {name} {ours} and target of {theirs}")
  ours, theirs = code.path(source, skip), code.path(target, skip)
  same = len(ours) == len(theirs) and np.allclose(ours.signal, theirs.signal)
  if not same:
    raise ValueError(
      f"source and target differ in their noise: {_ends(ours)} and "
      f"{_ends(theirs)}"
    )
  if not code.tables(ours)[0].stochastic:
    raise ValueError(
      f"code.eta={code.eta}: a sampler without noise has no code"
    )


def _ends(levels: schedule.Levels) -> str:
  """For messages."""
  first, last = levels.signal[0] ** 2, levels.signal[-1] ** 2
  return f"{len(levels)} steps from signal^2 {first:.4g} to {last:.4g}"
