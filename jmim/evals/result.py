"""A number of another run beside those of this one: its fine-tuning.

    value = last line of <workdir>/metrics.jsonl that has the key

Fine-tuning is a run of its own (`configs/finetune_*.py`); this puts its result
into the table of the pre-training run, with the step and the whole protocol
of the line it stands in. Nothing is computed.
"""

import dataclasses

from jmim.core import errors
from jmim.core import field
from jmim.core import home
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.runlog import writer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Copies one value of a finished run."""

  workdir: str = field.value("", "folder of the other run")
  key: str = field.value("accuracy/top1", "name in its metrics.jsonl")

  def needs(self) -> tuple[str, ...]:
    """Nothing of this run's method."""
    return ()

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the value and where it comes from."""
    path = home.expand(self.workdir, "evals.<name>.workdir")
    try:
      lines = [line for line in writer.read(path) if self.key in line]
    except FileNotFoundError:
      lines = []
    if not lines:
      raise errors.UserError(
        f"no {self.key} in {path / 'metrics.jsonl'}",
        "a run that logged it",
        "let that run finish first, or correct workdir and key",
        "evals.<name>.workdir",
      )
    last = lines[-1]
    yield self.key.rpartition("/")[2], last[self.key]
    yield (
      "protocol",
      {
        "of": self.workdir,
        "of_step": last["step"],
        "of_protocol": last.get("protocol", {}),
      },
    )
