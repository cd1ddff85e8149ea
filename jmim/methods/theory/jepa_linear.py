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
other method; `simulate` follows the exact flow, `parts.amplitudes` its closed
form.

    python -m jmim.tools.claim jepa_linear
    python -m jmim.main --config=YOUR_RECIPE with method.type=theory.jepa_linear
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import amplitudes


def initial(
  key: jax.Array, width: int, depth: int, eps: float, objective: str
) -> dict[str, jax.Array]:
  """Balanced `layers` [L, d, d] and `v` [d, d]: see the module docstring."""
  normal = jax.random.normal(key, (depth, width, width))
  u = jnp.concatenate([jnp.eye(width)[None], jnp.linalg.qr(normal)[0]])
  scale = eps ** (1 / depth)
  layers = scale * jnp.einsum("aij,akj->aik", u[1:], u[:-1])
  first = u[-1] if objective == "jepa" else u[0]
  return {"layers": layers, "v": scale * first @ u[-1].T}


def product(layers: jax.Array) -> jax.Array:
  """W_L ... W_1 [d, d] of layers [L, d, d]."""
  w = layers[0]
  for layer in layers[1:]:
    w = layer @ w
  return w


def gradients(
  params: dict[str, jax.Array],
  sxx: jax.Array,
  syx: jax.Array,
  objective: str,
) -> dict[str, jax.Array]:
  """Gradient of the expected loss, the target stopped.

      E = V W Sxx - W Syx (JEPA), V W Sxx - Syx (MAE)
      dL/dV = E W^T,   dL/dW_a = (V W_L ... W_{a+1})^T E (W_{a-1} ... W_1)^T

  Args:
    params: layers [L, d, d], v [d, d].
    sxx: [d, d].
    syx: [d, d].
    objective: "jepa" or "mae".

  Returns:
    the same tree as `params`.
  """
  layers, v = params["layers"], params["v"]
  w, eye = product(layers), jnp.eye(layers.shape[-1])
  target = w @ syx if objective == "jepa" else syx
  error = v @ w @ sxx - target
  grads = []
  for a in range(len(layers)):
    after = product(jnp.concatenate([eye[None], layers[a + 1 :]]))
    before = product(jnp.concatenate([eye[None], layers[:a]]))
    grads.append(after.T @ v.T @ error @ before.T)
  return {"layers": jnp.stack(grads), "v": error @ w.T}


def simulate(
  key: jax.Array,
  lam: amplitudes.Number,
  rho: amplitudes.Number,
  depth: int,
  eps: float,
  objective: str,
  rate: float,
  steps: int,
  every: int = 1,
) -> tuple[np.ndarray, jax.Array, dict[str, jax.Array]]:
  """Gradient descent on the expected loss.

  Args:
    key: of the orthogonal matrices.
    lam: [d] covariances Syx_ii.
    rho: [d] regression coefficients.
    depth: layers L.
    eps: initial amplitude of W.
    objective: "jepa" or "mae".
    rate: step in time.
    steps: number of steps.
    every: steps between records.

  Returns:
    times [r], amplitudes [r, d] of each feature in W, the last parameters.
  """
  lam, rho = jnp.asarray(lam, jnp.float32), jnp.asarray(rho, jnp.float32)
  sxx, syx = jnp.diag(lam / rho), jnp.diag(lam)

  def step(params, _):
    g = gradients(params, sxx, syx, objective)
    return jax.tree.map(lambda p, x: p - rate * x, params, g), None

  def record(params, _):
    params, _ = jax.lax.scan(step, params, None, length=every)
    return params, jnp.linalg.norm(product(params["layers"]), axis=0)

  start = initial(key, len(lam), depth=depth, eps=eps, objective=objective)
  last, reached = jax.lax.scan(record, start, None, length=steps // every)
  times = rate * every * np.arange(1, len(reached) + 1)
  return times, reached, last


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepLinear(method.Method):
  """A deep linear network on pairs."""

  width: int = field.value(8, "width d of x and y", low=1, was="dims")
  depth: int = field.value(2, "encoder layers L", low=1)
  eps: float = field.value(0.01, "initial amplitude of W", above=0.0)
  objective: str = field.value(
    "jepa", "loss: target W y (jepa) or y (mae)", choices=amplitudes.OBJECTIVES
  )

  @classmethod
  def tiny(cls) -> "DeepLinear":
    """Two layers that start large enough to move."""
    return cls(eps=0.5)

  def inputs(self) -> dict[str, method.Input]:
    """Pairs: x and y, [2, d]."""
    return {"points": method.Input((2, self.width))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Balanced layers; no extra state."""
    del batch
    start = initial(
      key,
      self.width,
      depth=self.depth,
      eps=self.eps,
      objective=self.objective,
    )
    encoder = {"layers": start["layers"]}
    return {"main": {"encoder": encoder, "v": start["v"]}}, {}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Half the squared error, summed over d, mean over the batch."""
    del draws, step, player
    main = weights.params["main"]
    w = product(main["encoder"]["layers"])
    x, y = batch["points"][:, 0], batch["points"][:, 1]
    encoded = jax.lax.stop_gradient(y @ w.T)
    target = encoded if self.objective == "jepa" else y
    error = x @ w.T @ main["v"].T - target
    return 0.5 * (error**2).sum(-1).mean(), {}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, d]: W x."""

    def features(weights, batch, key):
      del key
      w = product(weights.params["main"]["encoder"]["layers"])
      return batch["points"][:, 0] @ w.T

    return {"features": features}
