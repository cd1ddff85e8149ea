"""Mixture of low-rank Gaussians: denoiser, Jacobian, PCA and clustering."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import jacobian
from jmim.diffusion import low_rank
from jmim.methods.theory import subspace
from jmim.metrics import subspaces

SKIPPED = {}


def numbered(params, name):
  """name0, name1, ... in order, or the rows of one array `name`."""
  if name in params:
    return list(params[name])
  found = golden_kit.below(params, name)
  return [found[k] for k in sorted(filter(str.isdigit, found), key=int)]


def build(case):
  """The method with the true bases as its weights."""
  c = case.config
  m = subspace.Subspace(
    width=c["ambient"],
    dims=tuple(c["dims"]),
    priors=tuple(np.float64(c["pi"]) / np.sum(c["pi"])),
  )
  m.inputs()
  truth = numbered(case.params, "U")
  params = {f"basis{k}": jnp.float64(u) for k, u in enumerate(truth)}
  return m, m.bases({"main": params})


def run(case):
  # As the reference: where two components are about as likely, the Jacobian
  # magnifies what float32 rounds.
  with jax.enable_x64(True):
    m, bases = build(case)
    found = levels(case, m, bases) | clustered(case, m)
  return jax.tree.map(np.asarray, found)


def levels(case, m, bases):
  """What depends on the level."""
  x0, eps = (jnp.float64(case.inputs[k]) for k in ("x0", "eps"))
  s, g = (jnp.float64(case.inputs[k]) for k in ("s", "gamma"))

  @jax.jit
  def at(s, g):
    x = s * x0 + g * eps
    f = lambda x: low_rank.denoised(bases, m.shares, x, s=s, g=g)
    w = jnp.exp(low_rank.log_weights(bases, m.shares, x, s=s, g=g))
    return f(x), w, jacobian.singular_values(f, x[:1])[0]

  rows = [at(*level) for level in zip(s, g, strict=True)]
  denoised, weights, values = (jnp.stack(a) for a in zip(*rows, strict=True))
  return {
    "denoised": denoised,
    "weights": weights,
    "jac_singular_values": values,
    "jac_rank99": jacobian.rank(values),
  }


def clustered(case, m):
  """What does not depend on the level, but for the first."""
  x0, label = np.float64(case.inputs["x0"]), case.inputs["label"]
  first, v = x0[label == 0], np.float64(case.params["V"])
  given = numbered(case.params, "Us") or numbered(case.params, "U")
  given = [np.float64(u) for u in given]
  basis = subspaces.pca(first, m.dims[0])
  s, g = (float(case.inputs[k][0]) for k in ("s", "gamma"))
  return {
    "pca_objective": subspaces.lengths([v], first).sum(),
    "pca_basis_projector": basis @ basis.T,
    "hard_assign": subspaces.assign(given, x0),
    "clustering_objective": subspaces.objective(given, x0),
    "expected_loss_V": low_rank.expected_loss(jnp.asarray(v), first, s, g),
  }
