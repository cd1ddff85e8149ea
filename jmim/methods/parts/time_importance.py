"""Times drawn the more often, the larger their terms of a loss (importance).

    p_t ~ sqrt(h_t + 1e-10) + 1e-4,   p_0 that of time 1
    h_t <- decay h_t + (1 - decay) mean of the squared terms of time t

uniform until every time was seen more than `least` times (Nichol and Dhariwal
2021; VQ-Diffusion). Where a batch has a time several times, the released
code of VQ-Diffusion takes the square of one of them; this takes their mean.

The state is in `extra`, which `draw` does not see: it draws u, and the loss
chooses the times. What the state is updated from are sums over examples, scaled
alike, so that it is the same whatever parts a batch is computed in.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeImportance:
  """When it begins, and how slowly it follows."""

  least: int = field.value(
    10, "times are uniform until each was seen more often", low=0
  )
  decay: float = field.value(
    0.9, "decay of the average of squared terms", low=0.0, below=1.0
  )

  def extra(self, times: int) -> dict[str, jax.Array]:
    """The state at the start: history and seen, both [times]."""
    return {"history": jnp.zeros(times), "seen": jnp.zeros(times)}

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> method.Draws:
    """time [b] ~ U[0, 1); examples [b], each b: how many the batch has."""
    b = shape[0]
    u = jax.random.uniform(keys("time"), (b,))
    return {"time": u, "examples": jnp.full(b, float(b))}

  def probabilities(self, extra: method.Tree) -> jax.Array:
    """p [times]."""
    root = jnp.sqrt(extra["history"] + 1e-10) + 1e-4
    root = root.at[0].set(root[1])
    uniform = jnp.full_like(root, 1 / len(root))
    known = (extra["seen"] > self.least).all()
    return jnp.where(known, root / root.sum(), uniform)

  def choose(
    self, extra: method.Tree, draws: method.Draws
  ) -> tuple[jax.Array, jax.Array]:
    """(t [b] int32, p of each [b])."""
    p = self.probabilities(extra)
    edges = jnp.cumsum(p)[:-1]
    t = jnp.searchsorted(edges, draws["time"], side="right").astype(jnp.int32)
    return t, p[t]

  def statistics(
    self, times: int, t: jax.Array, term: jax.Array, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """What `moved` needs: seen and squares, both [times].

    Args:
      times: how many there are.
      t: [b] chosen.
      term: [b], of the loss at these times, before it is divided by p.
      draws: of `draw`, of these rows.
    """
    parts = draws["examples"][0] / len(t)
    rows = parts * jax.nn.one_hot(t, times)
    return {"seen": rows.sum(0), "squares": (term**2) @ rows}

  def moved(self, extra: method.Tree, aux: method.Tree) -> method.Tree:
    """The state after a step with these `statistics`."""
    seen, old = aux["seen"], extra["history"]
    mean = aux["squares"] / jnp.maximum(seen, 1.0)
    new = self.decay * old + (1 - self.decay) * mean
    return {
      "history": jnp.where(seen > 0, new, old),
      "seen": extra["seen"] + seen,
    }
