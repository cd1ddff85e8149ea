"""The flags of the command line, and which mode takes which."""

import pathlib
from collections.abc import Sequence
from typing import Any

import ml_collections
from absl import flags

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import home
from jmim.core import renamed
from jmim.core import run_config
from jmim.core import validate

MODES = (
  "train",
  "eval",
  "sample",
  "apply",
  "describe",
  "dry_run",
  "export",
  "doctor",
)
FORMATS = ("safetensors", "timm", "hf", "authors", "big_vision")

_CONFIG = flags.DEFINE_string(
  "config",
  None,
  "Recipe, with its arguments: name or path.py, name:key=value. Not needed "
  "by --mode=eval and sample: the config of the run is in its workdir",
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run: the same again resumes it"
)
_MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do")
_COORDINATOR = flags.DEFINE_string(
  "coordinator",
  None,
  "host:port of process 0; auto: as a TPU pod, GKE, Slurm or MPI says; "
  "empty: one process",
)
_PROCESSES = flags.DEFINE_integer(
  "processes", None, "Processes of the run, where no cluster says it"
)
_PROCESS = flags.DEFINE_integer("process", None, "Number of this process")

# Flags that are keys of the config in short: --num=64 is
# --config.sample.num=64.
_SHORT = {
  "num": "sample.num",
  "seed": "sample.seed",
  "weights": "sample.weights",
  "guidance": "method.sampling.guidance",
  "sampler": "method.sampling.sampler",
  "steps": "method.sampling.steps",
}
flags.DEFINE_string("num", None, "--mode=sample: images to sample")
flags.DEFINE_string("seed", None, "--mode=sample: seed of the samples")
flags.DEFINE_enum(
  "weights", None, ("raw", "ema"), "--mode=sample, export: whose weights"
)
flags.DEFINE_string("guidance", None, "--mode=sample: classifier-free guidance")
flags.DEFINE_string(
  "sampler", None, "--mode=sample: sampler, as of jmim/diffusion/solvers.py"
)
flags.DEFINE_string("steps", None, "--mode=sample: sampling steps")
flags.DEFINE_bool(
  "allow_changes",
  False,
  "--mode=eval, sample: also where the method is not what was trained",
)
flags.DEFINE_integer(
  "replay_step",
  None,
  "--mode=eval: re-run this step and report what is not finite",
  lower_bound=1,
)
flags.DEFINE_enum(
  "format", "safetensors", FORMATS, "--mode=export: whose layout"
)
flags.DEFINE_string("out", None, "--mode=export: folder to write")
flags.DEFINE_string(
  "head",
  None,
  "--mode=export: evaluator (a probe) whose classifier goes with the encoder",
)
flags.DEFINE_string(
  "push", None, "--mode=export: user/name on the hub to upload it to"
)
flags.DEFINE_bool(
  "private", False, "--mode=export --push: make a repository that is private"
)
flags.DEFINE_string(
  "topology", None, "--mode=dry_run: chips to compile for: v5e:16x16, cpu:8"
)
flags.DEFINE_integer(
  "slices", 1, "--mode=dry_run: slices of that topology", lower_bound=1
)
flags.DEFINE_bool(
  "tune", False, "--mode=dry_run: try remat, ZeRO and accumulation too"
)

flags.DEFINE_bool(
  "verbose",
  False,
  "--mode=train: every module, the memory by part, the largest arrays",
)

# These print a screen and end; `screens.asked` reads them.
flags.DEFINE_bool("version", False, "Show the version of jmim")
flags.DEFINE_bool(
  "list", False, "Show the recipes that come with jmim; --list=WORD: some"
)
flags.DEFINE_enum(
  "completion",
  None,
  ("bash", "zsh"),
  "Print what makes the shell complete flags, recipes and keys",
)

# Mode -> the flags that it takes beside those of every mode.
_TAKES = {
  "train": ("verbose",),
  "sample": (*_SHORT, "allow_changes"),
  "eval": ("allow_changes",),
  "replay": ("replay_step", "allow_changes"),
  "dry_run": ("topology", "slices", "tune"),
  "export": ("out", "format", "weights", "head", "push", "private"),
}


def mode() -> str:
  """What to do: --mode, or "replay": --mode=eval with --replay_step."""
  replays = _MODE.value == "eval" and flags.FLAGS["replay_step"].value
  return "replay" if replays else _MODE.value


def options() -> dict[str, Any]:
  """Name -> value of the flags that are arguments of the mode.

  Raises:
    UserError: a flag of another mode is set.
  """
  taken, values = _TAKES.get(mode(), ()), flags.FLAGS
  for name in dict.fromkeys(n for names in _TAKES.values() for n in names):
    if name not in taken and values[name].value != values[name].default:
      raise _of_another_mode(name)
  keys = _SHORT if mode() == "sample" else ()  # in the config already
  return {n: values[n].value for n in taken if n not in keys}


def _of_another_mode(name: str) -> errors.UserError:
  """The error for a flag that the mode does not take."""
  modes = [m for m, names in _TAKES.items() if name in names]
  flag = lambda mode: "--mode=" + {"replay": "eval"}.get(mode, mode)
  short = f", or use --config.{_SHORT[name]}" if name in _SHORT else ""
  return errors.UserError(
    f"--{name} with --mode={_MODE.value}",
    " or ".join(map(flag, modes)),
    f"set the mode{short}",
    f"--{name}",
  )


def processes() -> tuple[str | None, int | None, int | None]:
  """(coordinator, processes of the run, number of this one)."""
  return _COORDINATOR.value, _PROCESSES.value, _PROCESS.value


def has_recipe() -> bool:
  """Whether --config is given."""
  return bool(_CONFIG.value)


def load_config(overrides: Sequence[str]) -> ml_collections.ConfigDict:
  """The recipe with its overrides, checked.

  Args:
    overrides: "key=value" items of --config.key=value flags.

  Raises:
    UserError: no recipe, or a mistake in it.
  """
  config = _config()
  short = _short(config) if mode() == "sample" else {}
  values = {key: flags.FLAGS[name].value for name, key in short.items()}
  more = [f"{key}={value}" for key, value in values.items() if value]
  config = configs.override(config, [*overrides, *more])
  validate.validate(config)
  _check_mode(config)
  return config


def _check_mode(config: ml_collections.ConfigDict) -> None:
  """Raises UserError for a procedure that is trained, or a method applied."""
  if "procedure" in config and _MODE.value not in ("apply", "dry_run"):
    raise errors.UserError(
      f"--mode={_MODE.value} with the procedure {config.procedure.type}",
      "a method: a procedure trains nothing",
      "use --mode=apply, or dry_run",
      "--mode",
    )
  if "procedure" not in config and _MODE.value == "apply":
    raise errors.UserError(
      f"--mode=apply with the method {config.method.type}",
      "a recipe with config.procedure (configs.procedure())",
      "train it, or name the recipe of a procedure that reads its run",
      "procedure",
    )


def _config() -> ml_collections.ConfigDict:
  """That of the recipe; without one, that of the run which is looked at."""
  if _CONFIG.value:
    return configs.load(_CONFIG.value)
  if _MODE.value in ("eval", "sample") and _WORKDIR.value:
    return run_config.load(workdir())
  raise errors.UserError(
    "no --config",
    "a recipe, e.g. --config=mae_digits",
    "name one of `jmim --list`, or the path of your own",
    "--config",
  )


def _short(config: ml_collections.ConfigDict) -> dict[str, str]:
  """Flag -> key of the config, where a method may have its own for one."""
  try:
    cls = discovery.find(config.method.type or "none")
  except KeyError:  # which `validate` reports
    return _SHORT
  # The sampler is a field of `sampling` in some methods, its type in others.
  older = renamed.table(cls, config.method)
  return _SHORT | (
    {"sampler": f"method.{older['sampler'].key}"} if "sampler" in older else {}
  )


def workdir() -> pathlib.Path | None:
  """The folder of the run, if one is given."""
  return home.expand(_WORKDIR.value, "--workdir") if _WORKDIR.value else None


def parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; returns the items of the --config.key=value ones.

  Raises:
    UserError: an unknown flag or a value that a flag does not take.
  """
  items = [a for a in argv[1:] if a.startswith("--config.")]
  rest = [a for a in argv if a not in items]
  try:
    others = flags.FLAGS(rest)[1:]
  except flags.Error as e:
    names = [a.partition("=")[0] for a in rest[1:]]
    raise errors.UserError(
      str(e),
      "flags: --config --workdir --mode, and --config.key=value",
      "see python -m jmim.main --help",
      next((n for n in names if n.lstrip("-") in str(e)), None),
    ) from e
  if others:
    raise errors.UserError(
      f"argument {others[0]!r}",
      "flags only, as --name=value",
      "write --config.key=value with an equals sign",
      others[0],
    )
  return [a.removeprefix("--config.") for a in items]
