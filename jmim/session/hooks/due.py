"""When a hook has its turn."""


def due(step: int, every: int, total: int) -> bool:
  """Whether it does after this step: every so many, and after the last one.

  Args:
    step: steps done.
    every: steps between two turns; 0: only after the last.
    total: steps of the run.
  """
  return step == total or (every > 0 and step % every == 0)
