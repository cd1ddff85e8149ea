"""The training step of a run, with the shapes of what it works on.

Shapes are enough: nothing is computed before `init` or a compiled step runs.
"""

import dataclasses
from typing import Any

import jax

from jmim.core import state as states
from jmim.cost import gradient_flops
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.training import step as steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
  """The step function, what it works on, and where its state lives.

  Attributes:
    step: the step function.
    consts: the frozen networks of the method, arrays or shapes.
    batch: shapes of a batch.
    abstract: shapes of the state.
    shardings: of the state.
    missed: name -> reason, of arrays that a sharding rule could not split.
    mesh: devices.
  """

  step: steps.Step
  consts: Any
  batch: Any
  abstract: states.State
  shardings: states.State
  missed: dict[str, str]
  mesh: jax.sharding.Mesh

  @property
  def like(self) -> states.State:
    """Shapes of the state with their shardings, as for restoring it."""
    return jax.tree.map(
      lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
      self.abstract,
      self.shardings,
    )

  def work(self) -> gradient_flops.Work:
    """FLOPs of one step, all examples of the batch together; traces it."""
    return self.step.work(self.abstract, self.consts, self.batch)

  def init(self, batch: Any) -> states.State:
    """A fresh state on the devices; of the batch only the shapes matter."""
    init = jax.jit(self.step.init, out_shardings=self.shardings)
    return init(batch, self.consts)

  def lower(self, state: Any) -> jax.stages.Lowered:
    """The step, to be compiled; it gives up the buffers of its state.

    Args:
      state: arrays, or shapes with shardings.
    """
    where = (self.shardings, sharding.replicated(self.mesh))
    step = jax.jit(self.step, donate_argnums=0, out_shardings=where)
    return step.lower(state, self.consts, self.batch)


def make(parts: assemble.Parts, batch: Any) -> Program:
  """The program of a run.

  Args:
    parts: of the run.
    batch: arrays on the devices, or shapes with shardings.
  """
  step = assemble.make_step(parts)
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), batch
  )
  abstract = jax.eval_shape(step.init, shapes, parts.consts)
  shardings, missed = parts.layout.plan(abstract)
  return Program(
    step=step,
    consts=parts.consts,
    batch=shapes,
    abstract=abstract,
    shardings=shardings,
    missed=missed,
    mesh=parts.mesh,
  )
