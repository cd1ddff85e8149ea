"""Command line: flags, distributed start, and which mode runs.

    python -m jmim.main --config=configs/mae_digits.py --workdir=runs/digits
    ... --config.optim.lr=1e-3      any key of the config
    ... --config=configs/mae_imagenet.py:variant=L/16,size=224

Exit codes: 0 done, 2 a mistake of the user (one screen, no traceback),
3 diverged, 4 the workdir cannot be written, 5 hosts are missing, 75 asked to
stop (SIGTERM, SIGINT, maintenance) and saved: start it again; 130 or 143 ended
at once. See docs/faults.md.
"""

import importlib
import os
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import validate
from jmim.core import version
from jmim.modes import usage
from jmim.parallel import malloc

# EX_TEMPFAIL of sysexits.h: to be tried again.
PREEMPTED = 75
MODES = ("train", "eval", "sample", "describe", "dry_run", "export")

_MODULE = sys.modules[__name__]
_CONFIG = flags.DEFINE_string(
  "config", None, "Recipe, with its arguments: path.py or path.py:name=value"
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run: the same again resumes it"
)
_MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do")
_COORDINATOR = flags.DEFINE_string(
  "coordinator",
  None,
  "host:port of process 0; auto: the cluster tells (TPU pod, GKE, Slurm, MPI); "
  "empty: one process",
)
_PROCESSES = flags.DEFINE_integer(
  "processes", None, "Processes of the run, where no cluster tells"
)
_PROCESS = flags.DEFINE_integer("process", None, "Number of this process")
_REPLAY = flags.DEFINE_integer(
  "replay_step",
  None,
  "--mode=eval: do this step again and look at it",
  lower_bound=1,
)
_FORMAT = flags.DEFINE_enum(
  "format",
  "safetensors",
  ("safetensors", "timm", "hf", "authors", "big_vision"),
  "--mode=export: whose layout",
)
_OUT = flags.DEFINE_string("out", None, "--mode=export: folder to write")
_TOPOLOGY = flags.DEFINE_string(
  "topology", None, "--mode=dry_run: chips to compile for: v5e:16x16, cpu:8"
)
_SLICES = flags.DEFINE_integer(
  "slices", 1, "--mode=dry_run: slices of that topology", lower_bound=1
)
_TUNE = flags.DEFINE_bool(
  "tune", False, "--mode=dry_run: try remat, ZeRO and accumulation too"
)
# --mode=sample: --num=64 is short for --config.sample.num=64, and so on.
_SHORT = {
  name: (f"{section}.{name}", flags.DEFINE_string(name, None, text))
  for section, name, text in (
    ("sample", "num", "Images to sample"),
    ("sample", "seed", "Seed of the samples"),
    ("sample", "weights", "raw or ema"),
    ("method", "guidance", "Classifier-free guidance"),
    ("method", "sampler", "Sampler, as of jmim/diffusion/solvers.py"),
    ("method", "steps", "Sampling steps"),
  )
}


def main(overrides: Sequence[str]) -> None:
  """Loads the config and runs the chosen mode.

  Args:
    overrides: "key=value" items of --config.key=value flags.

  Raises:
    UserError: a mistake in flags or config.
  """
  if _MODE.value == "export":
    _export()
    return
  config = _config([*overrides, *_short()])
  if _MODE.value == "dry_run":
    _dry_run(config)
    return
  if _MODE.value == "describe":
    importlib.import_module("jmim.modes.describe").run(config)
    return
  if not _WORKDIR.value:
    raise errors.UserError(
      "no --workdir",
      "a folder for checkpoints, metrics and pictures",
      "add --workdir=runs/my_run",
      "--workdir",
    )
  if _REPLAY.value and _MODE.value != "eval":
    raise errors.UserError(
      f"--replay_step with --mode={_MODE.value}",
      "--mode=eval",
      "set the mode",
      "--replay_step",
    )
  workdir = pathlib.Path(_WORKDIR.value).expanduser()
  _check_workdir(workdir)
  _start_backend(config)
  run = importlib.import_module(
    "jmim.modes.train"
  )  # imports all of JAX's world
  if _MODE.value == "train":
    run.train(config, workdir)
  elif _REPLAY.value:
    replay = importlib.import_module("jmim.modes.replay")
    replay.replay(config, workdir, _REPLAY.value)
  elif _MODE.value == "eval":
    run.evaluate(config, workdir)
  else:
    importlib.import_module("jmim.modes.sample").sample(config, workdir)


def _dry_run(config) -> None:
  """--mode=dry_run: no workdir is needed, no device, no data."""
  if not _TOPOLOGY.value:
    raise errors.UserError(
      "--mode=dry_run without --topology",
      "chips to compile for",
      "add --topology=v5e:16x16, or cpu:8",
      "--topology",
    )
  topology = importlib.import_module("jmim.parallel.topology")
  topology.prepare(_TOPOLOGY.value)
  out = pathlib.Path(_WORKDIR.value).expanduser() if _WORKDIR.value else None
  if out is not None:
    _check_workdir(out)
  devices = topology.devices(_TOPOLOGY.value, _SLICES.value)
  run = importlib.import_module("jmim.modes.dry_run")
  run.run(config, devices, _SLICES.value, out, _TUNE.value)


def _export() -> None:
  """--mode=export: the config is that of the workdir."""
  for name, flag in (("workdir", _WORKDIR), ("out", _OUT)):
    if not flag.value:
      raise errors.UserError(
        f"--mode=export without --{name}",
        "--workdir=RUN --out=FOLDER",
        "add it",
        f"--{name}",
      )
  workdir, out = (pathlib.Path(f.value).expanduser() for f in (_WORKDIR, _OUT))
  _check_workdir(out)
  exporting = importlib.import_module("jmim.convert.exporting")
  weights = _SHORT["weights"][1].value or "raw"
  lines = exporting.run(workdir, _FORMAT.value, out, weights)
  print("\n".join([*lines, f"done: {out}"]))


def _short() -> list[str]:
  """The short flags of --mode=sample as config overrides."""
  given = {n: f"{k}={f.value}" for n, (k, f) in _SHORT.items() if f.value}
  if given and _MODE.value != "sample":
    name = next(iter(given))
    raise errors.UserError(
      f"--{name} with --mode={_MODE.value}",
      "--mode=sample",
      f"set the mode, or use --config.{_SHORT[name][0]}",
      f"--{name}",
    )
  return list(given.values())


def _config(overrides: Sequence[str]):
  if not _CONFIG.value:
    raise errors.UserError(
      "no --config",
      "a recipe, e.g. --config=configs/mae_digits.py",
      "name one; `ls configs` shows those that are here",
      "--config",
    )
  config = configs.override(configs.load(_CONFIG.value), overrides)
  validate.validate(config)
  return config


def _check_workdir(workdir: pathlib.Path) -> None:
  """Raises UserError unless the folder can be written."""
  parent = next(p for p in (workdir, *workdir.parents) if p.exists())
  if not parent.is_dir() or not os.access(parent, os.W_OK):
    raise errors.UserError(
      f"--workdir={workdir}: cannot write into {parent}",
      "a folder that can be created",
      "choose another place",
      "--workdir",
    )


def _start_backend(config) -> None:
  """Compile cache and, with several processes, the distributed runtime."""
  import jax  # noqa: PLC0415  the flags above must win before JAX starts

  backend = importlib.import_module("jmim.parallel.backend")
  hosts = importlib.import_module("jmim.parallel.hosts")
  backend.keep_compiled(config.hardware.compile_cache)
  if _COORDINATOR.value:
    if os.environ.get("JAX_PLATFORMS") == "cpu":
      jax.config.update("jax_cpu_collectives_implementation", "gloo")
    seconds = config.hardware.host_timeout
    hosts.start(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value, seconds)
    values = {
      "config": hosts.digest(config.to_json(sort_keys=True)),
      "code": version.code_hash(),
      "set of libraries": ", ".join(map(" ".join, version.libraries().items())),
    }
    fix = "start all with the same command, from the same installation of jmim"
    hosts.group(seconds).agree("start", values, fix, {"config": "--config"})


def parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; returns the config overrides and what is left.

  Raises:
    UserError: an unknown flag or a value a flag does not take.
  """
  if "--help" in argv:
    print(usage.text(__doc__, flags.FLAGS, _MODULE))
    sys.exit(0)
  ours = [a for a in argv[1:] if a.startswith("--config.")]
  rest = [a for a in argv if a not in ours]
  try:
    left = flags.FLAGS(rest)[1:]
  except flags.Error as e:
    names = [a.partition("=")[0] for a in rest[1:]]
    raise errors.UserError(
      str(e),
      "flags: --config --workdir --mode, and --config.key=value",
      "see python -m jmim.main --help",
      next((n for n in names if n.lstrip("-") in str(e)), None),
    ) from e
  if left:
    raise errors.UserError(
      f"argument {left[0]!r}",
      "flags only, as --name=value",
      "write --config.key=value with an equals sign",
      left[0],
    )
  return [a.removeprefix("--config.") for a in ours]


def cli() -> None:
  """What the command `jmim` and `python -m jmim.main` start."""
  malloc.huge_pages()
  run()


def run() -> None:
  """Runs one command: errors of users become one screen and exit code 2."""
  try:
    overrides = parse(sys.argv)
    main(overrides)
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    sys.exit(2)
  except errors.Diverged as e:
    print(f"diverged: {e}", file=sys.stderr)
    sys.exit(3)
  except errors.NotSaved as e:
    print(f"not saved: {e}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(4)  # threads of Orbax may go on waiting for what failed
  except errors.HostsMissing as e:
    print(f"hosts missing: {e}", file=sys.stderr, flush=True)
    os._exit(5)  # JAX would wait for them
  except errors.Preempted as e:
    print(f"stopped: {e}; the same command resumes", file=sys.stderr)
    sys.exit(PREEMPTED)
  except KeyboardInterrupt:
    print("interrupted: the same command resumes", file=sys.stderr)
    sys.exit(130)


if __name__ == "__main__":
  cli()
