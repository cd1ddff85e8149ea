"""How fast the input is, and whether that is fast enough.

    python -m jmim.tools.bench_input
    python -m jmim.tools.bench_input --config=configs/mae_imagenet.py \
      --config.data.data_dir=DIR --needs=2000

    python -m jmim.tools.bench_input --host

Without a config: 256 photograph-like JPEGs of 500 x 375, made from the two
photographs that scikit-learn ships, random resized crop to 224. Printed are the
rate per core and per host, the time of a batch, where the time goes, and in the
same run, in turn and on one core, the same work by Pillow (torchvision's
arithmetic) and, if TensorFlow is installed, by tf.data: `decode_race`. With
`--host` instead: a table of threads and worker processes, beside one thread on
one core, in turn.
"""

import argparse
import cProfile
import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from jmim.core import config as configs
from jmim.core import validate
from jmim.data import decode
from jmim.data import jpeg
from jmim.data import pipeline
from jmim.data import reader
from jmim.data import slots
from jmim.data import sources
from jmim.data import views
from jmim.data import worker
from jmim.parallel import malloc
from jmim.session import build
from jmim.session import opened
from jmim.tools import cli
from jmim.tools import decode_race

# Of the table of a host.
_WORKERS, _THREADS = (0, 1, 2), (1, 2, 4, 8, 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
  """What was measured of the whole pipeline of this host.

  Attributes:
    images: per second.
    sent: bytes per second on their way to the device.
    p50: median seconds between batches.
    p99: 99th percentile of that.
  """

  images: float
  sent: float
  p50: float
  p99: float


def pipeline_rates(
  source: sources.Source, spec: pipeline.Spec, seconds: float
) -> Rates:
  """Times the stream of batches after a warm-up.

  Args:
    source: of images.
    spec: of the pipeline.
    seconds: how long.
  """
  stream = pipeline.training_batches(source, spec)
  for _ in range(1 + spec.prefetch):
    batch = next(stream)
  laps, start = [], time.perf_counter()
  while not laps or laps[-1] - start < seconds:
    batch = next(stream)
    laps.append(time.perf_counter())
  stream.close()
  seconds = np.diff([start, *laps])
  size = sum(array.nbytes for array in batch.values())
  return Rates(
    images=spec.batch / seconds.mean(),
    sent=size / seconds.mean(),
    p50=float(np.quantile(seconds, 0.5)),
    p99=float(np.quantile(seconds, 0.99)),
  )


def host_rates(
  source: sources.Source, spec: pipeline.Spec, seconds: float, rounds: int
) -> tuple[float, dict[tuple[int, int], float]]:
  """Images/s of one core, and of the whole host by (workers, threads).

  All in turn, as the machine may not be ours alone; medians of the rounds.

  Args:
    source: of images.
    spec: of the pipeline.
    seconds: of each measurement.
    rounds: measurements of each.
  """
  alone = dataclasses.replace(spec, threads=1, workers=0)
  grid = [*itertools.product(_WORKERS, _THREADS)]
  one, host = [], {place: [] for place in grid}
  for _ in range(rounds):
    with decode_race.one_core():
      one.append(pipeline_rates(source, alone, seconds).images)
    for workers, threads in grid:
      how = dataclasses.replace(spec, threads=threads, workers=workers)
      rates = pipeline_rates(source, how, seconds)
      host[workers, threads].append(rates.images)
  return np.median(one), {k: np.median(x) for k, x in host.items()}


def shares(
  source: sources.Source, spec: pipeline.Spec, count: int
) -> dict[str, float]:
  """Share of the time of one thread in each part of making a batch.

  Args:
    source: of images.
    spec: of the pipeline.
    count: examples that are made.
  """
  make = views.Maker(spec, training=True)
  rules = reader.Rules(skip_bad=spec.on_bad_record == "skip")
  examples = reader.Reader(source, make, seed=spec.seed, rules=rules)
  stream = pipeline.stream_of(source, spec)
  epoch, index = (x[:count] for x in stream.slots(0))
  places = index, epoch, stream.repeats()[:count]
  examples.read(*places)  # takes memory that the next ones find ready
  profile = cProfile.Profile(builtins=False)
  profile.runcall(examples.read, *places)
  kind = type(source)
  read = getattr(kind, "__getitems__", kind.__getitem__)
  resized = _inside(profile, decode.resize, decode.quick_resize)
  spent = {
    "read": _inside(profile, read),
    "decode": _inside(profile, views.Maker.__call__) - resized,
    "resize": resized,
    "copy": _inside(profile, slots.Slots.put),
  }
  whole = _inside(profile, reader.Reader.read)
  spent["draws and the rest"] = whole - sum(spent.values())
  return {name: seconds / whole for name, seconds in spent.items()}


def _inside(profile: cProfile.Profile, *functions: Callable) -> float:
  """Seconds in functions that do not call each other."""
  codes = {function.__code__ for function in functions}
  return sum(x.totaltime for x in profile.getstats() if x.code in codes)


def _parse_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments, and "key=value" overrides of the recipe."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--config", help="recipe whose data are measured")
  parser.add_argument("--images", type=int, default=256, help="made images")
  parser.add_argument("--rounds", type=int, default=3, help="races")
  parser.add_argument(
    "--seconds", type=float, default=10.0, help="how long the pipeline runs"
  )
  parser.add_argument(
    "--host", action="store_true", help="by threads and worker processes"
  )
  parser.add_argument("--needs", type=float, help="images/s of the step")
  for name in ("threads", "workers"):
    parser.add_argument(
      f"--{name}",
      type=int,
      default=argparse.SUPPRESS,
      help=f"hardware.data_{name}",
    )
  argv, overrides = cli.overrides(argv)
  return parser.parse_args(argv), overrides


def _subject(
  flags: argparse.Namespace, overrides: Sequence[str], files: Sequence[bytes]
) -> tuple[sources.Source, pipeline.Spec]:
  """(source, spec) of the recipe, or of the made photographs."""
  if flags.config:
    config = configs.override(configs.load(flags.config), overrides)
    validate.validate(config)
    spec = build.make_spec(config)
    source = opened.make_sources(config)["train"]
  else:
    source = sources.ArraySource({"image": files})
    spec = pipeline.Spec(
      batch=64,
      size=decode_race.SIZE,
      host_crop="resized",
      decoder="turbo" if jpeg.available() else "pillow",
      threads=os.cpu_count() or 1,
    )
  counts = {k: v for k, v in vars(flags).items() if k in ("threads", "workers")}
  return source, dataclasses.replace(spec, **counts)


def _print_host(
  source: sources.Source, spec: pipeline.Spec, seconds: float, rounds: int
) -> None:
  one, host = host_rates(source, spec, seconds, rounds)
  cores = len(os.sched_getaffinity(0))
  print(
    f"one thread on one core: {one:.0f} images/s; {cores} cores: "
    f"{cores * one:.0f} at most, of which\n"
    f"{'threads':10}" + "".join(f"{n:>14}" for n in _THREADS)
  )
  for workers in _WORKERS:
    row = [host[workers, threads] for threads in _THREADS]
    cells = (f"{x:7.0f} ({x / one / cores:4.0%})" for x in row)
    print(f"{workers} workers " + "".join(f"{cell:>14}" for cell in cells))


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  flags, overrides = _parse_flags(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: measure(flags, overrides))


def measure(flags: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Measures and prints; raises UserError if the data cannot be read."""
  worker.one_thread_per_image()
  files = decode_race.photographs(flags.images)
  source, spec = _subject(flags, overrides, files)
  if flags.host:
    return _print_host(source, spec, flags.seconds, flags.rounds)
  kilobytes = np.mean([len(f) for f in files]) / 1000
  print(
    f"one core, {len(files)} JPEGs of 500 x 375 ({kilobytes:.0f} kB) -> 224"
  )
  with decode_race.one_core():
    places = decode_race.boxes(len(files))
    runners = decode_race.contestants(files, places)
    seconds = decode_race.race(runners, len(files), flags.rounds)
  for name, each in seconds.items():
    others = (x for x in ("Pillow", "tf.data, bicubic") if x in seconds)
    ratios = "".join(f"  {seconds[x] / each:5.2f} x {x[:7]}" for x in others)
    print(f"  {name:38} {1 / each:7.0f} images/s{ratios}")
  if not jpeg.available():
    print('  jmim turbo: not installed; pip install "jmim[fast]"')
  print(
    f"this host: batch {spec.batch}, {spec.workers} workers, "
    f"{spec.threads} threads each, decoder {spec.decoder}"
  )
  for name, share in shares(source, spec, 256).items():
    print(f"  {name:38} {share:7.1%}")
  rates = pipeline_rates(source, spec, flags.seconds)
  cores = len(os.sched_getaffinity(0))
  print(
    f"  {rates.images:.0f} images/s, {rates.images / cores:.0f} per core "
    f"({cores}); {rates.sent / 1e6:.0f} MB/s to the device\n"
    f"  batch: median {1e3 * rates.p50:.0f} ms, 99 % {1e3 * rates.p99:.0f} ms"
  )
  if flags.needs:
    verdict = "enough" if rates.images >= flags.needs else "TOO SLOW"
    print(
      f"the step needs {flags.needs:.0f} images/s, this host delivers "
      f"{rates.images:.0f}: {verdict}"
    )


if __name__ == "__main__":
  malloc.huge_pages()  # as of a run
  sys.exit(main())
