"""Figures of what theory says, for `draw_methods`; nothing is trained."""

import pathlib

import jax
import matplotlib.figure
import numpy as np

from jmim.data.procedural import molrg
from jmim.diffusion import first_hitting
from jmim.diffusion import jacobian
from jmim.diffusion import low_rank
from jmim.diffusion import schedule
from jmim.diffusion import truncated
from jmim.methods.parts import deep_linear
from jmim.metrics import subspaces

KEY = 3


def jepa_linear(path: pathlib.Path) -> None:
  """Amplitudes of four features over time, for both objectives."""
  figure = matplotlib.figure.Figure((9, 3), layout="constrained")
  lam, rho = (1, 0.8, 0.5, 0.3), (0.2, 0.6, 0.9, 0.8)
  settings = (("mae", 0.005, 12_000), ("jepa", 0.1, 20_000))
  for axes, (objective, rate, steps) in zip(
    figure.subplots(1, 2), settings, strict=True
  ):
    times, reached, _ = deep_linear.simulate(
      jax.random.key(KEY),
      lam,
      rho=rho,
      depth=2,
      eps=0.01,
      objective=objective,
      rate=rate,
      steps=steps,
      every=50,
    )
    final = deep_linear.limit(rho, 2, objective)
    for i, pair in enumerate(zip(lam, rho, strict=True)):
      label = "covariance {}, regression {}".format(*pair)
      axes.plot(times, reached[:, i] / final[i], label=label)
    axes.set(title=objective.upper(), xlabel="time", ylabel="share learned")
  axes.legend()
  figure.savefig(path, dpi=90)


def mdm(path: pathlib.Path) -> None:
  """Times of the hits of one sequence, and what cut noise does to entropy."""
  figure = matplotlib.figure.Figure((9, 3), layout="constrained")
  left, right = figure.subplots(1, 2)
  length = 32
  u = np.random.default_rng(KEY).random((6, length))
  left.plot(first_hitting.hitting_times(u, length).T, color="0.7")
  mean = first_hitting.order_statistics(length)[0]
  left.plot(mean, color="black", label="mean, n / (L + 1)")
  left.set(title="First hitting, L = 32", xlabel="hit", ylabel="time")
  left.legend()
  p = np.arange(1, 33) ** -1.5
  p, limits = p / p.sum(), np.linspace(2, 20, 19)
  for steps in (1, 10, 100, 1000):
    laws = [truncated.chain(p, steps, m) for m in limits]
    entropies = [truncated.entropy(law) for law in laws]
    right.plot(limits, entropies, label=f"N = {steps}")
  right.axhline(truncated.entropy(p), color="0.7", linestyle=":")
  right.axvline(truncated.gumbel_max(23), color="0.7", linestyle=":")
  right.set(
    title="Ancestral, N steps; dotted: exact, float32",
    xlabel="noise cut at M",
    ylabel="entropy [nats]",
  )
  right.legend()
  figure.savefig(path, dpi=90)


def subspace(path: pathlib.Path) -> None:
  """Rank of an exact denoiser along its path, and what PCA misses."""
  figure = matplotlib.figure.Figure((9, 3), layout="constrained")
  left, right = figure.subplots(1, 2)
  dims, width = (3, 5, 8), 48
  bases, priors = molrg.bases(width, dims), (1 / 3,) * 3
  rng = np.random.default_rng(KEY)
  x0, own = molrg.draw(rng, bases, (8, 8, 8))
  noise = rng.normal(size=x0.shape)

  @jax.jit
  def ranks(g):
    f = lambda x: low_rank.denoised(bases, priors, x, s=1.0, g=g)
    return jacobian.rank(jacobian.singular_values(f, x0 + g * noise))

  levels = schedule.karras(36, least=0.02, most=20.0).noise[:-1]
  found = np.array([ranks(g) for g in levels])
  for k, d in enumerate(dims):
    mean = found[:, own == k].mean(1)
    left.plot(levels, mean, label=f"points of {d} dimensions")
  left.set(
    title=f"Rank, {dims} of {width} dimensions",
    xlabel="noise",
    ylabel="rank",
    xscale="log",
  )
  left.invert_xaxis()
  left.legend()
  counts = range(1, 17)
  for d in (2, 4, 8):
    truth = molrg.bases(width, (d,))
    noisy = [
      molrg.draw(rng, truth, (n,))[0]
      + 0.05 / width**0.5 * rng.normal(size=(n, width))
      for n in counts
    ]
    errors = [subspaces.distance(subspaces.pca(x, d), *truth) for x in noisy]
    right.plot(counts, errors, label=f"d = {d}")
  right.set(title="Error of PCA from N points", xlabel="N", ylabel="error")
  right.legend()
  figure.savefig(path, dpi=90)


FIGURES = {"jepa_linear": jepa_linear, "mdm": mdm, "subspace": subspace}
