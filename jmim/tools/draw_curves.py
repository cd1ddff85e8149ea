"""Figures of what theory says, for `draw_methods`; nothing is trained."""

import pathlib

import jax
import matplotlib.figure
import numpy as np

from jmim.diffusion import first_hitting
from jmim.diffusion import truncated
from jmim.methods.parts import deep_linear

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


FIGURES = {"jepa_linear": jepa_linear, "mdm": mdm}
