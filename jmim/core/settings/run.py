"""The other sections of a run: its start, its length, what it leaves."""

import dataclasses

from jmim.core import field
from jmim.core import units


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitFrom:
  """Parameters of another run to start from; see `checkpoints.init_from`."""

  path: str = field.value(
    "", "workdir of a run, or .npz, to start the parameters from; '': fresh"
  )
  weights: str = field.value(
    "raw",
    "trained parameters of that run ('raw') or their EMA",
    choices=("raw", "ema"),
  )
  rename: tuple = field.value(
    (), "((regex, replacement), ...) on the names of that run"
  )
  copies: tuple = field.value(
    (),
    "((regex, replacement), ...): arrays that are ours under a second name too",
  )
  skip: tuple = field.value((), "regexes of names there that are left out")
  reinit: tuple = field.value((), "regexes of our names that stay fresh")
  resize: tuple = field.value(
    (), "regexes of position tables that are resized to our grid"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
  """The length of a run, its log lines, checkpoints and guards."""

  total_steps: int = units.in_steps("length of the run")
  total_epochs: float = units.in_epochs("length of the run")
  total_images: int = units.in_images("length of the run")
  log_steps: int = field.value(
    50, "steps between log lines, which are means over them", low=1
  )
  profile_steps: str = field.value(
    "", "'10:13': trace these steps into workdir/profile, print what took long"
  )
  checkpoint_steps: int = units.in_steps(
    "time between checkpoints; none: only the last"
  )
  checkpoint_epochs: float = units.in_epochs("time between checkpoints")
  checkpoint_images: int = units.in_images("time between checkpoints")
  keep: int = field.value(2, "newest checkpoints kept", low=1)
  keep_every_steps: int = units.in_steps(
    "interval at whose multiples checkpoints stay"
  )
  keep_every_epochs: float = units.in_epochs(
    "interval at whose multiples checkpoints stay"
  )
  keep_every_images: int = units.in_images(
    "interval at whose multiples checkpoints stay"
  )
  keep_best: str = field.value(
    "",
    "number of an evaluator, e.g. 'probe/accuracy': the checkpoint at which it "
    "is highest stays; lowest with '-' before it; '': none",
  )
  max_skips: int = field.value(
    10, "non-finite steps in a row after which the run stops", low=1
  )
  max_failures: int = field.value(
    5,
    "failed writes in a row after which the run stops (disk full, folder "
    "gone); more where a file system is often away for a while",
    low=1,
  )
  spike_z: float = field.value(
    0.0,
    "robust standard deviations above the median of recent losses that make a "
    "loss a spike; 0: never; try 10 for long runs",
    low=0,
  )
  spike_window: int = field.value(
    128, "losses that a new one is compared with", low=16
  )
  spike_policy: str = field.value(
    "warn",
    "answer to a spike: 'warn', or 'rollback' to the checkpoint before it, "
    "with the batches since then skipped",
    choices=("warn", "rollback"),
  )
  max_rollbacks: int = field.value(
    3, "rollbacks after which the next spike stops the run", low=1
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ema:
  """Exponential moving average of the parameters."""

  decay: float = field.value(
    0.0, "EMA decay per step; 0: no EMA", low=0, below=1
  )
  warmup: bool = field.value(True, "use min(decay, (1 + t) / (10 + t))")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
  """Images that --mode=sample makes; how is said by the method's fields."""

  num: int = field.value(64, "images in all; more later continues", low=1)
  batch: int = field.value(
    64, "images at a time, rounded up to a multiple of the devices", low=1
  )
  seed: int = field.value(
    0,
    "seed; an image is a function of (seed, number)",
    low=0,
    high=2**32 - 1,
  )
  label: int = field.value(
    -1, "class of all images; -1: the classes in turn", low=-1
  )
  weights: str = field.value(
    "auto",
    "parameters used; auto: their EMA where the run has one (ema.decay)",
    choices=("auto", "raw", "ema"),
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Apply:
  """What --mode=apply makes; how is said by the procedure's fields."""

  num: int = field.value(
    0,
    "examples of each split, in a fixed random order; more later continues; 0: "
    "all",
    low=0,
  )
  repeats: int = field.value(
    1, "results of each example, with draws of their own", low=1
  )
  splits: tuple = field.value(
    ("eval",),
    "parts of the data that are worked on, of 'train' and 'eval': what "
    "data.train_split and data.eval_split name",
  )
  fit_num: int = field.value(
    0, "training examples that a fit reads; 0: all", low=0
  )
  store: str = field.value(
    "",
    "name of the data set, in data.data_dir, that results are stored as for "
    "another run; '': none",
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Logging:
  """Boards beside metrics.jsonl and TensorBoard, which are always there."""

  wandb_project: str = field.value(
    "", "W&B project that gets the log (pip install jmim[wandb]); '': none"
  )
  wandb_mode: str = field.value(
    "online", "'offline': for `wandb sync`", choices=("online", "offline")
  )
