"""The sections `optim` and `schedule`: how parameters move."""

import dataclasses

from jmim.core import errors
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
    "steps down, cosines in a row",
    choices=("cosine", "linear", "constant", "rsqrt", "step", "cycles"),
  )
  min_lr: float = field.value(0.0, "end of cosine and linear", low=0)
  start_lr: float = field.value(0.0, "start of the warm-up", low=0)
  drop_factor: float = field.value(
    0.1, "share left after a drop of 'step', of what was before", low=0, high=1
  )
  drop_again: tuple = field.value(
    (), "times of further drops of 'step', in times of the first: (2.0, 3.0)"
  )
  cycles: tuple = field.value(
    (), "lengths of the half cosines of 'cycles', in any unit: (92.0, 208.0)"
  )
  floors: tuple = field.value((), "end of each of 'cycles', a learning rate")
  drop_steps: float = units.in_steps("time of the first drop of 'step'")
  drop_epochs: float = units.in_epochs("time of the first drop of 'step'")
  drop_images: float = units.in_images("time of the first drop of 'step'")
  warmup_steps: float = units.in_steps("linear warm-up from start_lr")
  warmup_epochs: float = units.in_epochs("linear warm-up from start_lr")
  warmup_images: float = units.in_images("linear warm-up from start_lr")
  warmup_share: float = field.value(
    0.0,
    "warm-up as a share of the run, in place of a duration; 0: none",
    low=0,
    high=1,
  )
  hold_steps: float = units.in_steps("time at the peak after the warm-up")
  hold_epochs: float = units.in_epochs("time at the peak after the warm-up")
  hold_images: float = units.in_images("time at the peak after the warm-up")
  stair_steps: float = units.in_steps("the rate is that of multiples of this")
  stair_epochs: float = units.in_epochs("the rate is that of multiples of this")
  stair_images: float = units.in_images("the rate is that of multiples of this")
  cooldown_steps: float = units.in_steps("final line to 0")
  cooldown_epochs: float = units.in_epochs("final line to 0")
  cooldown_images: float = units.in_images("final line to 0")
  timescale_steps: float = units.in_steps("T of rsqrt: lr sqrt(T / (T + t))")
  timescale_epochs: float = units.in_epochs("T of rsqrt: lr sqrt(T / (T + t))")
  timescale_images: float = units.in_images("T of rsqrt: lr sqrt(T / (T + t))")

  def __post_init__(self):
    """Raises UserError for lists that no shape can follow."""
    after = (1.0, *self.drop_again)
    rising = all(a < b for a, b in zip(after, after[1:], strict=False))
    _check("drop_again", self, rising, "numbers above 1 that increase")
    fine = all(length > 0 for length in self.cycles)
    fine &= bool(self.cycles) == (self.name == "cycles")
    _check("cycles", self, fine, "positive lengths with 'cycles', else ()")
    fine = len(self.floors) == len(self.cycles) and min((0, *self.floors)) == 0
    number = f"{len(self.cycles)} number(s) of at least 0, one per cycle"
    _check("floors", self, fine, number)


def _check(name: str, shape: Schedule, fine: bool, expected: str) -> None:
  if not fine:
    key = f"schedule.{name}"
    raise errors.UserError(
      f"{key}={getattr(shape, name)!r} with schedule.name={shape.name!r}",
      expected,
      f"change {key}",
      key,
    )
