r"""Fits a mixture of Gaussians to the codes of a trained VAE.

    python -m jmim.tools.fit_codes --config=RECIPE --workdir=RUN \
      --out=prior.npz --components=10

RUN is a run of the VAE, RECIPE its recipe; --config.KEY=VALUE as for a run.
Codes are sampled, mean + deviation noise, one of each training example; the
mixture has full covariances, starts from k-means and is fitted by EM ("ex-post
density estimation"). `method.prior.path` names the file, with the same
`method.prior.components`. Printed: the mean log likelihood of the codes of the
evaluation split under it, and under N(0, I).
"""

import argparse
import pathlib
import sys
import warnings
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.special
from sklearn import exceptions
from sklearn import mixture as mixtures

from jmim.checkpoints import frozen
from jmim.core import config as configs
from jmim.core import errors
from jmim.parallel import malloc
from jmim.session import session as sessions
from jmim.tools import cli
from jmim.tools import latent_encoder

Mixture = Mapping[str, np.ndarray]


def codes(
  encoder: latent_encoder.Encoder, split: str, seed: int, limit: int = 0
) -> np.ndarray:
  """float64 [n, z] codes, one of each example.

  Args:
    encoder: of the run.
    split: "train" or "eval".
    seed: of their noise.
    limit: examples; 0: all.

  Raises:
    UserError: a method whose code is a map.
  """
  shape = encoder.shape()
  if shape[:2] != (1, 1):
    raise errors.UserError(
      f"codes of {shape[0]} x {shape[1]} places",
      "one code per image, a map of side 1",
      "name the run of a VAE that makes such codes",
      "--workdir",
    )
  rows, n = [], 0
  for batch in encoder.rows(split, views=0):
    rows.append(batch[encoder.feature][:, 0, 0])
    n += len(rows[-1])
    if limit and n >= limit:
      break
  found = np.concatenate(rows)[: limit or None].astype(np.float64)
  mean, log_var = np.split(found, 2, axis=-1)
  noise = np.random.default_rng(seed).normal(size=mean.shape)
  return mean + np.exp(log_var / 2) * noise


def fit(
  found: np.ndarray,
  components: int,
  *,
  iterations: int = 100,
  ridge: float = 1e-6,
  seed: int = 0,
) -> dict[str, np.ndarray]:
  """log_weight [k], mean [k, z], factor [k, z, z] (lower) of a mixture.

  Args:
    found: [n, z] codes.
    components: k.
    iterations: of EM, at most.
    ridge: added to the diagonals of the covariances.
    seed: of k-means.

  Raises:
    UserError: fewer codes than components.
  """
  if len(found) < max(2, components):
    raise errors.UserError(
      f"{components} components for {len(found)} codes",
      "at least as many codes, and two",
      "use fewer components, or more examples",
      "--components",
    )
  model = mixtures.GaussianMixture(
    components, max_iter=iterations, reg_covar=ridge, random_state=seed
  )
  with warnings.catch_warnings():
    # EM may be cut: the number of iterations is the paper's.
    warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
    model.fit(found)
  return {
    "log_weight": np.log(model.weights_).astype(np.float32),
    "mean": model.means_.astype(np.float32),
    "factor": np.linalg.cholesky(model.covariances_).astype(np.float32),
  }


def log_likelihood(mixture: Mixture, found: np.ndarray) -> np.ndarray:
  """[n] log densities in nats of codes [n, z] under a mixture."""
  each = []
  for log_weight, mean, factor in zip(
    mixture["log_weight"], mixture["mean"], mixture["factor"], strict=True
  ):
    factor = factor.astype(np.float64)
    z = scipy.linalg.solve_triangular(factor, (found - mean).T, lower=True).T
    volume = np.log(np.diagonal(factor)).sum()
    each.append(log_weight + normal(z) - volume)
  return scipy.special.logsumexp(each, axis=0)


def normal(z: np.ndarray) -> np.ndarray:
  """[n] log densities in nats of [n, z] under N(0, I)."""
  return -0.5 * ((z**2).sum(-1) + z.shape[-1] * np.log(2 * np.pi))


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and config overrides."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  for name in ("config", "workdir"):
    parser.add_argument(f"--{name}", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path, help=".npz")
  parser.add_argument("--components", type=int, default=10)
  parser.add_argument("--iterations", type=int, default=100)
  parser.add_argument("--ridge", type=float, default=1e-6)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--limit", type=int, default=0, help="codes; 0: all")
  argv, overrides = cli.overrides(argv)
  args = parser.parse_args(argv)
  cli.check_least(parser, args, "components", "iterations")
  cli.check_npz(parser, args)
  return args, overrides


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args, overrides = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args, overrides))


def run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Fits, writes and prints; raises UserError as `codes` and `fit`."""
  config = configs.override(configs.load(args.config), overrides)
  workdir = pathlib.Path(args.workdir)
  with sessions.open(config, workdir, write=False) as session:
    encoder = latent_encoder.Encoder(session)
    found = codes(encoder, "train", args.seed, args.limit)
    held = codes(encoder, "eval", args.seed + 1, args.limit)
  mixture = fit(
    found,
    args.components,
    iterations=args.iterations,
    ridge=args.ridge,
    seed=args.seed,
  )
  digest = frozen.save(args.out, mixture)
  likely = log_likelihood(mixture, held).mean()
  print(
    f"{args.out}: {args.components} components of {len(found):,} codes of "
    f"{found.shape[1]}\nsha256 {digest}\nlog likelihood of {len(held):,} held "
    f"out, in nats: {likely:.2f}; under N(0, I): {normal(held).mean():.2f}"
  )


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
