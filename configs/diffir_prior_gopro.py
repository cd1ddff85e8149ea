"""DiffIR's first stage on GoPro at the published size; patches grow by runs.

A TFDS data set `gopro` of crops of 512 pixels with the features `low` (blurred)
and `high` (docs/add_a_data_set.md). Each run begins with the weights of the one
before; moments of the optimizer begin afresh.

    C=configs/diffir_prior_gopro.py
    D=--config.data.data_dir=DIR
    python -m jmim.main --config=$C --workdir=P192 $D
    python -m jmim.main --config=$C:patch=256,start=P192 --workdir=P256 $D
    ... 320, 384, 464, 512; then configs/diffir_gopro.py

Arguments: patch=192 (256, 320, 384, 464, 512), start= (the run before), batch=0
(0: the authors': 64, of larger patches 32, 16, 16, 8, 8).

Reference: see configs/diffir_gopro.py. The authors' rate is two cosines, the
second over all patches from 256 on: here each run has a half cosine between the
values at its ends.

Size: 26.7 M parameters.
Time: not measured.
Expect: not measured here.
"""

import math

from jmim.core import choices
from jmim.core import config as configs

# Patch: (batch, steps, steps before it).
PATCHES = {
  192: (64, 92_000, 0),
  256: (32, 80_000, 92_000),
  320: (16, 38_000, 172_000),
  384: (16, 33_000, 210_000),
  464: (8, 33_000, 243_000),
  512: (8, 24_000, 276_000),
}


def rate(step: int) -> float:
  """Learning rate at a step; the first cosine ends above where it began."""
  if not step:
    return 2e-4
  share = (step - 92_000) / 208_000
  return 1e-6 + (2e-4 - 1e-6) * (1 + math.cos(math.pi * share)) / 2


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, patch=192, start="", batch=0)
  choices.check(arg, patch=PATCHES)
  batch, steps, before = PATCHES[arg.patch]
  config = configs.base()
  config.data.update(
    name="gopro",
    batch=arg.batch or batch,
    size=arg.patch,
    turn=True,
    host_crop="resized",  # a square of as many pixels, not resized
    crop_scale=((arg.patch / 512) ** 2,) * 2,
    crop_ratio=(1.0, 1.0),
    eval_crop="center",
    eval_resize=512,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
  )
  config.method = configs.section(
    type="restore.diffir_prior",
    size=arg.patch,
    degraded=dict(degradation="pairs", factor=1),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=rate(before), b2=0.999, weight_decay=0.0)
  end = rate(before + steps) if before else 2.85e-4
  config.schedule.update(name="cosine", warmup_steps=0, min_lr=end)
  config.ema.decay = 0.999
  config.train.update(total_steps=steps, checkpoint_steps=5000, log_steps=100)
  seen = configs.section(type="restoration", weights="ema")
  config.evals = configs.section(restoration=seen)
  return config
