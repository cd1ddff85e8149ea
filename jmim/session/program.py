"""The training step of a run, with the shapes of what it works on.

Shapes are enough: nothing is computed before `init` or a compiled step runs.
"""

import dataclasses
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
from jax.extend import core as jaxprs

from jmim.core import errors
from jmim.core import state as states
from jmim.cost import gradient_flops
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.session import build
from jmim.training import step as steps

# The compiler's words.
WRONG_OPTION = re.compile(r"No such compile option|While setting option")
SKIPPED = "skipped"  # steps in a row, up to now, that were not finite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
  """The step function, what it works on, and where its state lives.

  Attributes:
    step: the step function.
    consts: the frozen networks of the method, arrays or shapes.
    batch: shapes of a batch.
    fresh: `step.init`, traced.
    abstract: shapes of the state.
    shardings: of the state.
    missed: name -> reason, of arrays that a sharding rule could not split.
    mesh: devices.
    options: of the compiler.
  """

  step: steps.Step
  consts: Any
  batch: Any
  fresh: jaxprs.ClosedJaxpr
  abstract: states.State
  shardings: states.State
  missed: dict[str, str]
  mesh: jax.sharding.Mesh
  options: Mapping[str, bool | str]

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
    return self._made(batch, lambda state: state)

  def init_weights(self, batch: Any) -> tuple[Any, Any]:
    """(params, extra) of `init`, without what trains them."""
    return self._made(batch, lambda state: (state.params, state.extra))

  def _made(self, batch: Any, part: Callable[[states.State], Any]) -> Any:
    """A part of a fresh state; the method is not traced again."""
    init = jaxprs.jaxpr_as_fun(self.fresh)

    def made(*given):
      leaves = init(*given)
      return part(jax.tree.unflatten(jax.tree.structure(self.abstract), leaves))

    made = jax.jit(made, out_shardings=part(self.shardings))
    return made(*jax.tree.leaves((batch, self.consts)))

  def lower(self, state: Any) -> jax.stages.Lowered:
    """The step, to be compiled; it gives up the buffers of its state.

    Among its metrics is SKIPPED: the state's, which can be looked at when the
    state itself has been given up.

    Args:
      state: arrays, or shapes with shardings.
    """

    def step(state, consts, batch):
      state, metrics = self.step(state, consts, batch)
      return state, metrics | {SKIPPED: state.skipped}

    where = (self.shardings, sharding.replicated(self.mesh))
    step = jax.jit(step, donate_argnums=0, out_shardings=where)
    return step.lower(state, self.consts, self.batch)

  def compile(self, state: Any) -> jax.stages.Compiled:
    """The step, compiled; raises as `compiled`."""
    return compiled(self.lower(state), self.options)


def compiled(
  lowered: jax.stages.Lowered, options: Mapping[str, bool | str]
) -> jax.stages.Compiled:
  """A program for its devices.

  Args:
    lowered: the program.
    options: of the compiler.

  Raises:
    UserError: the compiler does not know one of them, or its value.
  """
  try:
    return lowered.compile(compiler_options=dict(options))
  except jax.errors.JaxRuntimeError as e:
    if not WRONG_OPTION.search(str(e)):
      raise
    raise errors.UserError(
      errors.first_line(e),
      "options of this version's compiler for this kind of device",
      "correct the name or the value, or leave it out",
      "hardware.compiler",
    ) from e


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
  traced = jax.make_jaxpr(step.init, return_shape=True)
  fresh, abstract = traced(shapes, parts.consts)
  shardings, missed = parts.layout.plan(abstract)
  return Program(
    step=step,
    consts=parts.consts,
    batch=shapes,
    fresh=fresh,
    abstract=abstract,
    shardings=shardings,
    missed=missed,
    mesh=parts.mesh,
    options=build.compiler_options(parts.config.hardware),
  )
