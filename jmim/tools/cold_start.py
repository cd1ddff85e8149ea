"""How long a command takes to its first step, and with what.

    python -m jmim.tools.cold_start --config=configs/mae_digits.py

Starts the run twice: with an empty compile cache, and with the one that the
first run left; a third process only loads Python, JAX and jmim. Data that is
built on first use is built before. --config.KEY=VALUE is passed on.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from collections.abc import Sequence

from jmim.runlog import console as consoles

# What a run prints when a stage has ended.
STAGES = (
  ("load, check, open data, trace", "jmim: "),
  ("make the state, compile", "train step compiled"),
  ("first step", "step "),
)


def stages(lines: Iterable[tuple[float, str]]) -> dict[str, float]:
  """Stage -> seconds.

  Args:
    lines: (seconds since the start, line) as they are printed.

  Raises:
    RuntimeError: the run ended earlier.
  """
  durations, last, remaining = {}, 0.0, list(STAGES)
  for seconds, line in lines:
    if remaining and line.startswith(remaining[0][1]):
      name, _ = remaining.pop(0)
      durations[name], last = seconds - last, seconds
  if remaining:
    raise RuntimeError(f"the run ended before '{remaining[0][0]}' was done")
  return durations


def start(
  config: str, folder: pathlib.Path, name: str, flags: Sequence[str]
) -> dict[str, float]:
  """Stages of a run of one step.

  Args:
    config: recipe.
    folder: of its workdir and its compile cache.
    name: of the workdir.
    flags: more arguments of jmim.main.

  Raises:
    CalledProcessError: the run failed.
  """
  command = [
    sys.executable,
    "-u",
    "-m",
    "jmim.main",
    f"--config={config}",
    f"--workdir={folder / name}",
    "--config.train.total_steps=1",
    "--config.schedule.warmup_steps=0",
    f"--config.hardware.compile_cache={folder / 'xla'}",
    *flags,
  ]
  environment = dict(os.environ)
  environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # it would win
  began = time.perf_counter()
  with subprocess.Popen(
    command,
    stdout=subprocess.PIPE,
    text=True,
    encoding="utf-8",
    env=environment,
  ) as process:
    lines = [(time.perf_counter() - began, x) for x in process.stdout]
  if process.returncode:
    raise subprocess.CalledProcessError(process.returncode, command)
  return stages(lines)


def load() -> float:
  """Seconds in which a process loads what training needs."""
  began = time.perf_counter()
  subprocess.run([sys.executable, "-c", "import jmim.modes.train"], check=True)
  return time.perf_counter() - began


def main(argv: Sequence[str]) -> int:
  """Command line; the exit code."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--config", required=True, help="recipe")
  options, flags = parser.parse_known_args(argv)
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    start(options.config, folder / "data", "run", flags)  # builds the data
    loading = load()
    cold = start(options.config, folder / "runs", "cold", flags)
    warm = start(options.config, folder / "runs", "warm", flags)
  rows = [(n, f"{cold[n]:.1f}", f"{warm[n]:.1f}") for n in cold]
  rows += [("in all", f"{sum(cold.values()):.1f}", f"{sum(warm.values()):.1f}")]
  consoles.Console().table(
    f"Seconds to the first step ({loading:.1f} of them to load the packages)",
    ("", "empty cache", "warm cache"),
    rows,
  )
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
