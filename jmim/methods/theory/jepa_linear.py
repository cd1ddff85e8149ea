r"""Deep linear JEPA and MAE: which features are learned first, and which never.

Littwin, Saremi, Advani, Thilak, Nakkiran, Huang, Susskind, NeurIPS 2024 ("How
JEPA Avoids Noisy Features"). No code was released; the closed forms below are
checked against quadrature and against gradient descent on matrices.

    W = W_L ... W_1 encoder,  V one linear layer,  (x, y) pairs in R^d
    L_JEPA = 1/2 E |V W x - stop(W y)|^2        loss = L_JEPA or L_MAE
    L_MAE  = 1/2 E |V W x - y|^2                (`objective`)
    W_a(0) = eps^(1/L) U_a U_{a-1}^T, U orthogonal, U_0 = 1;
    V(0)   = eps^(1/L) U_L U_L^T (JEPA),  eps^(1/L) U_0 U_L^T (MAE)

With Sxx and Syx diagonal, lambda = Syx_ii, rho = Syx_ii / Sxx_ii, and w the
amplitude of a feature in each layer (w^L in the encoder):

    JEPA: dw/dt = lambda w^(2L) (1 - w / rho)            ends at w^L = rho^L
    MAE:  dw/dt = lambda w^L (1 - w^(L+1) / rho)   ends at rho^(L / (L+1))

so MAE learns in the order of lambda, JEPA prefers large rho, the more the
deeper. Reference: 90 % times of lambda (1 .8 .5 .3), rho (.2 .6 .9 .8), L = 2,
eps = .01: JEPA 948 570 811 1390, MAE 9.66 12.2 19.6 32.7.

The class trains the network on pairs (`points` [2, d]: x, then y) like any
other method; `parts.deep_linear` has the closed forms and the exact flow.

    python -m jmim.tools.claim jepa_linear
    python -m jmim.main --config=YOUR_RECIPE with method.type=theory.jepa_linear
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import deep_linear


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepLinear(method.Method):
  """A deep linear network on pairs."""

  width: int = field.value(8, "width d of x and y", low=1, was="dims")
  depth: int = field.value(2, "encoder layers L", low=1)
  eps: float = field.value(0.01, "initial amplitude of W", above=0.0)
  objective: str = field.value(
    "jepa", "loss: target W y (jepa) or y (mae)", choices=deep_linear.OBJECTIVES
  )

  @classmethod
  def tiny(cls) -> "DeepLinear":
    """Two layers that start large enough to move."""
    return cls(eps=0.5)

  def inputs(self) -> dict[str, method.Input]:
    """Pairs: x and y, [2, d]."""
    return {"points": method.Input((2, self.width))}

  def init(
    self, key: jax.Array, batch: method.Batch
  ) -> tuple[method.Tree, method.Tree]:
    """Balanced layers; no extra state."""
    del batch
    start = deep_linear.initial(
      key,
      self.width,
      depth=self.depth,
      eps=self.eps,
      objective=self.objective,
    )
    encoder = {"layers": start["layers"]}
    return {"main": {"encoder": encoder, "v": start["v"]}}, {}

  def loss(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    step: jax.Array,
    player: str = "main",
  ) -> method.Loss:
    """Half the squared error, summed over d, mean over the batch."""
    del draws, step, player
    main = weights.params["main"]
    w = deep_linear.product(main["encoder"]["layers"])
    x, y = batch["points"][:, 0], batch["points"][:, 1]
    encoded = jax.lax.stop_gradient(y @ w.T)
    target = encoded if self.objective == "jepa" else y
    error = x @ w.T @ main["v"].T - target
    return 0.5 * (error**2).sum(-1).mean(), {}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, d]: W x."""

    def features(weights, batch, key):
      del key
      w = deep_linear.product(weights.params["main"]["encoder"]["layers"])
      return batch["points"][:, 0] @ w.T

    return {"features": features}
