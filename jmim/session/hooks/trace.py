"""A trace of some steps (`train.profile_steps`), and what took the time."""

import jax

from jmim.core import state as states
from jmim.cost import profile
from jmim.session import session as sessions


class Trace:
  """Traces steps on the first host; prints which operations took long."""

  def __init__(
    self, session: sessions.Session, start: int, compiled: jax.stages.Compiled
  ):
    """`start`: the step that the run goes on from."""
    steps = profile.steps(
      session.parts.config.train.profile_steps, session.parts.total
    )
    if steps and start >= steps[0]:
      session.console.print("train.profile_steps is behind us: no trace")
    self._session, self._compiled = session, compiled
    self._profile = profile.Profile(
      steps if session.writes else range(0), session.workdir / "profile"
    )
    session.closing.callback(self._profile.close)

  def before(self, step: int, state: states.State) -> None:
    """Begins the trace if it is to begin with this step."""
    self._profile.before(step, state)

  def after(self, step: int, state: states.State) -> None:
    """Ends and shows the trace if this was its last step."""
    if not self._profile.ends(step):
      return
    with self._session.clock.measure("profile"):
      path = self._profile.end(state)
      program, count = self._compiled.as_text(), self._profile.count
      profile.show(self._session.console, path, program, count)
