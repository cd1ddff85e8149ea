"""The sections `optim` and `schedule`: how parameters move."""

import dataclasses

from jmim.core import field
from jmim.core import units


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optim:
  """An optimizer; `optim.players.<player>` overrides any of it for one."""

  name: str = field.value(
    "adamw", "optimizer", choices=("adamw", "adan", "lion", "sgd", "lars")
  )
  lr: float = field.value(1e-3, "peak learning rate; see lr_batch", low=0)
  lr_batch: int = field.value(
    0,
    "examples that lr is for: peak = lr * batch / lr_batch (MAE's blr: 256); "
    "0: lr is the peak itself",
    low=0,
  )
  b1: float = field.value(
    0.9, "first-moment decay (adamw, lion; adan: 0.98)", low=0, below=1
  )
  b2: float = field.value(
    0.95,
    "second-moment decay (adamw, lion), 0.999 to fine-tune; of differences of "
    "gradients (adan: 0.92)",
    low=0,
    below=1,
  )
  b3: float = field.value(0.99, "second-moment decay of adan", low=0, below=1)
  eps: float = field.value(1e-8, "epsilon of Adam and Adan", low=0)
  momentum: float = field.value(0.9, "momentum (sgd, lars)", low=0, below=1)
  trust: float = field.value(0.001, "trust coefficient of LARS", above=0)
  weight_decay: float = field.value(
    0.05,
    "weight decay, decoupled (adamw, adan, lion) or added to the gradient "
    "(sgd, lars)",
    low=0,
  )
  weight_decay_end: float = field.value(
    0.0, "weight decay at the end of half a cosine; 0: constant", low=0
  )
  clip_norm: float = field.value(
    0.0,
    "global gradient-norm clip per player; 0: none; try 1.0 on spikes",
    low=0,
  )
  accumulate: int = field.value(
    1, "micro-batches per step, for a batch that does not fit", low=1
  )
  layer_decay: float = field.value(
    1.0,
    "learning rate of layer i of n times this^(n - i); 0.65 ... 0.75 to "
    "fine-tune",
    above=0,
    high=1,
  )
  freeze: tuple = field.value((), "regexes of parameters that do not train")
  lr_mults: tuple = field.value(
    (), "((regex, factor), ...) on the learning rate"
  )
  decay_mults: tuple = field.value(
    (), "((regex, factor), ...) on the weight decay"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
  """The learning rate over the steps; see `training.schedule`."""

  name: str = field.value(
    "cosine",
    "shape after the warm-up: half cosine or line to min_lr, constant, rsqrt, "
    "one step down",
    choices=("cosine", "linear", "constant", "rsqrt", "step"),
  )
  min_lr: float = field.value(0.0, "end of cosine and linear", low=0)
  start_lr: float = field.value(0.0, "start of the warm-up", low=0)
  drop_factor: float = field.value(
    0.1, "share of the peak left after the drop of 'step'", low=0, high=1
  )
  drop_steps: float = units.in_steps("time of the drop of 'step'")
  drop_epochs: float = units.in_epochs("time of the drop of 'step'")
  drop_images: float = units.in_images("time of the drop of 'step'")
  warmup_steps: float = units.in_steps("linear warm-up from start_lr")
  warmup_epochs: float = units.in_epochs("linear warm-up from start_lr")
  warmup_images: float = units.in_images("linear warm-up from start_lr")
  cooldown_steps: float = units.in_steps("final line to 0")
  cooldown_epochs: float = units.in_epochs("final line to 0")
  cooldown_images: float = units.in_images("final line to 0")
  timescale_steps: float = units.in_steps("T of rsqrt: lr sqrt(T / (T + t))")
  timescale_epochs: float = units.in_epochs("T of rsqrt: lr sqrt(T / (T + t))")
  timescale_images: float = units.in_images("T of rsqrt: lr sqrt(T / (T + t))")
