"""How fast samples are made, and how fast beside Diffusers.

    python -m jmim.tools.bench_sample                       # DiT-B/4, 50 steps
    python -m jmim.tools.bench_sample --variant=XL/2 --batch=8 --peer
    python -m jmim.tools.bench_sample --config=configs/digit_cifar10.py \
      --beside=method.sampling.cache=False

A DiT with fresh weights on latents of 32 x 32 x 4, 1000 classes, DDIM with
classifier-free guidance, float32; the first batch, which compiles, is not
counted. `--peer` makes the same number of images in turn with Diffusers'
DiTPipeline (PyTorch; `pip install "jmim[bench]"`), its network as large, its
autoencoder replaced by nothing, and prints the ratio pair by pair: on a shared
machine only a ratio of neighbours means something.

`--config` is a recipe whose method samples without frozen networks: its samples
from fresh weights are timed in place of DiT's (--config.KEY=VALUE as for a
run), and `--beside` the same with one key changed, in turn.
"""

import argparse
import importlib.util
import sys
import time
import types
from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import method as methods
from jmim.core import validate
from jmim.evals.lib import predict
from jmim.nn import sizes
from jmim.parallel import malloc
from jmim.tools import cli

_CLASSES, _SIZE, _CHANNELS = 1000, 32, 4


def ours(flags: argparse.Namespace) -> Callable[[], None]:
  """A function that makes one batch of latents and waits for it."""
  method = discovery.make(
    {
      "type": "diffusion.dit",
      "dims": {"variant": flags.variant},
      "size": flags.size,
      "channels": _CHANNELS,
      "labels": {"classes": _CLASSES},
      "sampling": {
        "sampler": "ddim",
        "steps": flags.steps,
        "clip": 0.0,
        "guidance": flags.guidance,
      },
    }
  )
  return _sampler(method, flags.batch)


def of_recipe(
  flags: argparse.Namespace, overrides: Sequence[str]
) -> Callable[[], None]:
  """The same of the method of a recipe.

  Raises:
    UserError: a mistake in the recipe, or a method that does not sample.
  """
  config = configs.override(configs.load(flags.config), overrides)
  validate.validate(config)
  method = discovery.make(config.method)
  if "sample" not in method.predict() or method.sample_reads():
    raise errors.UserError(
      f"--config={flags.config} of {config.method.type}",
      "a method that samples given a label or nothing",
      "name another recipe",
      "--config",
    )
  return _sampler(method, flags.batch)


def _sampler(method: methods.Method, count: int) -> Callable[[], None]:
  """Makes so many samples from fresh weights and waits for them."""
  batch = {
    name: jnp.zeros((1, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  weights = methods.Weights(*jax.jit(method.init)(jax.random.key(0), batch))
  sample = jax.jit(predict.output(method, "sample"))
  conditions = predict.conditions(method, np.arange(count))

  def run() -> None:
    jax.block_until_ready(sample(weights, conditions, jax.random.key(1)))

  return run


def peer(flags: argparse.Namespace) -> Callable[[], None]:
  """The same by Diffusers.

  Raises:
    UserError: it is not installed.
  """
  missing = [n for n in ("torch", "diffusers") if not _installed(n)]
  if missing:
    raise errors.UserError(
      f"no {' and no '.join(missing)}",
      "the libraries of the peer",
      'pip install "jmim[bench]", or leave --peer out',
      "--peer",
    )
  import diffusers  # noqa: PLC0415  optional, and slow to import
  import torch  # noqa: PLC0415

  class NoDecoder(torch.nn.Module):
    """In place of the autoencoder: latents are what is timed."""

    config = types.SimpleNamespace(scaling_factor=1.0)
    device = torch.device("cpu")

    def decode(self, latents):
      return types.SimpleNamespace(sample=latents)

  size, patch = sizes.parse(flags.variant)
  transformer = diffusers.DiTTransformer2DModel(
    num_attention_heads=size.heads,
    attention_head_dim=size.width // size.heads,
    in_channels=_CHANNELS,
    out_channels=2 * _CHANNELS,
    num_layers=size.depth,
    sample_size=flags.size,
    patch_size=patch,
  )
  pipe = diffusers.DiTPipeline(
    transformer.eval(), NoDecoder(), diffusers.DDIMScheduler()
  )
  pipe.set_progress_bar_config(disable=True)
  labels = [i % _CLASSES for i in range(flags.batch)]

  def run() -> None:
    pipe(
      labels,
      guidance_scale=flags.guidance,
      output_type="np",
      num_inference_steps=flags.steps,
    )

  return run


def _installed(name: str) -> bool:
  return importlib.util.find_spec(name) is not None


def race(
  runners: dict[str, Callable[[], None]], rounds: int
) -> dict[str, np.ndarray]:
  """Seconds [rounds] of each, in turn, after a round that does not count."""
  for run in runners.values():
    run()
  laps = {name: [] for name in runners}
  for _ in range(rounds):
    for name, run in runners.items():
      start = time.perf_counter()
      run()
      laps[name].append(time.perf_counter() - start)
  return {name: np.array(seconds) for name, seconds in laps.items()}


def _parse_flags(
  argv: Sequence[str],
) -> tuple[argparse.Namespace, list[str]]:
  parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0],
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
  )
  parser.add_argument("--variant", default="B/4", help="DiT size / patch side")
  parser.add_argument("--size", type=int, default=_SIZE, help="latent side")
  parser.add_argument("--batch", type=int, default=4, help="images at once")
  parser.add_argument("--steps", type=int, default=50, help="steps of DDIM")
  parser.add_argument(
    "--guidance", type=float, default=4.0, help="guidance scale"
  )
  parser.add_argument("--rounds", type=int, default=3, help="batches timed")
  parser.add_argument("--peer", action="store_true", help="Diffusers beside")
  parser.add_argument("--config", default="", help="recipe in place of DiT")
  parser.add_argument("--beside", default="", help="KEY=VALUE of a second one")
  argv, overrides = cli.overrides(argv)
  flags = parser.parse_args(argv)
  if flags.config and flags.peer or flags.beside and not flags.config:
    parser.error("--beside is of a recipe, --peer of DiT")
  if overrides and not flags.config:
    parser.error("keys of a config without --config")
  return flags, overrides


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  flags, overrides = _parse_flags(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: measure(flags, overrides))


def _what(flags: argparse.Namespace, overrides: Sequence[str]) -> str:
  """What is timed, in words."""
  if flags.config:
    keys = " ".join([flags.config, *overrides])
    beside = f" beside {flags.beside}" if flags.beside else ""
    return f"{keys}{beside}, batch {flags.batch}"
  return (
    f"DiT-{flags.variant}, latents {flags.size} x {flags.size} x {_CHANNELS}, "
    f"batch {flags.batch}, {flags.steps} DDIM steps, guidance "
    f"{flags.guidance:g}, float32"
  )


def measure(flags: argparse.Namespace, overrides: Sequence[str] = ()) -> None:
  """Measures and prints; raises UserError for a peer that is missing."""
  if flags.config:
    runners = {"recipe": of_recipe(flags, overrides)}
    if flags.beside:
      runners["beside"] = of_recipe(flags, [*overrides, flags.beside])
  else:
    runners = {"jmim": ours(flags)}
  if flags.peer:
    runners["diffusers"] = peer(flags)
  print(f"{_what(flags, overrides)}, {jax.devices()[0].device_kind}")
  laps = race(runners, flags.rounds)
  for name, seconds in laps.items():
    rates = ", ".join(f"{flags.batch / s:.3f}" for s in seconds)
    print(f"  {name:10} {rates} images/s")
  if len(laps) > 1:
    (one, first), (other, second) = laps.items()
    ratios = second / first
    text = ", ".join(f"{r:.2f}" for r in ratios)
    print(f"  {one} / {other}: {text}; median {np.median(ratios):.2f}")


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
