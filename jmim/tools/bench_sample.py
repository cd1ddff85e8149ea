"""How fast samples are made, and how fast beside Diffusers.

    python -m jmim.tools.bench_sample                       # DiT-B/4, 50 steps
    python -m jmim.tools.bench_sample --variant=XL/2 --batch=8 --peer

A DiT with fresh weights on latents of 32 x 32 x 4, 1000 classes, DDIM with
classifier-free guidance, float32; the first batch, which compiles, is not
counted. `--peer` makes the same number of images in turn with Diffusers'
DiTPipeline (PyTorch; `pip install "jmim[bench]"`), its network as large, its
autoencoder replaced by nothing, and prints the ratio pair by pair: on a shared
machine only a ratio of neighbours means something.
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

from jmim.core import discovery
from jmim.core import errors
from jmim.core import method as methods
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
  batch = {
    name: jnp.zeros((1, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  weights = methods.Weights(*jax.jit(method.init)(jax.random.key(0), batch))
  sample = jax.jit(predict.output(method, "sample"))
  conditions = predict.conditions(method, np.arange(flags.batch))

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


def _parse_flags(argv: Sequence[str]) -> argparse.Namespace:
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
  return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  flags = _parse_flags(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: measure(flags))


def measure(flags: argparse.Namespace) -> None:
  """Measures and prints; raises UserError for a peer that is missing."""
  runners = {"jmim": ours(flags)}
  if flags.peer:
    runners["diffusers"] = peer(flags)
  print(
    f"DiT-{flags.variant}, latents {flags.size} x {flags.size} x {_CHANNELS}, "
    f"batch {flags.batch}, {flags.steps} DDIM steps, guidance "
    f"{flags.guidance:g}, float32, {jax.devices()[0].device_kind}"
  )
  laps = race(runners, flags.rounds)
  for name, seconds in laps.items():
    rates = ", ".join(f"{flags.batch / s:.3f}" for s in seconds)
    print(f"  {name:10} {rates} images/s")
  if flags.peer:
    ratios = laps["diffusers"] / laps["jmim"]
    text = ", ".join(f"{r:.2f}" for r in ratios)
    print(f"  jmim / diffusers: {text}; median {np.median(ratios):.2f}")


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
