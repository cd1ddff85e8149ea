"""DiffIR for motion blur (GoPro) at the published size; patches grow by runs.

Data and patches are those of configs/diffir_prior_gopro.py, whose last run is
`first`. Each run begins with the weights of the one before (`start`); moments
of the optimizer begin afresh, as the authors' do after the first of these:

    C=configs/diffir_gopro.py
    D=--config.data.data_dir=DIR
    python -m jmim.main --config=$C:stage=condition,first=P --workdir=C $D
    python -m jmim.main --config=$C:first=P,start=C --workdir=J192 $D
    python -m jmim.main --config=$C:patch=256,first=P,start=J192 \
      --workdir=J256 $D
    ... 320, 384, 464, 512

Arguments: stage=joint (condition), patch=192 (256, 320, 384, 464, 512), first=,
start=, batch=0 (0: the authors': 64, of larger patches 32, 16, 16, 8, 8).

Reference (from memory, not repeated): 33.20 dB, SSIM .963.

Size: 26.9 M parameters.
Time: not measured.
Expect: 33.2 dB after all runs (the authors', from memory).
"""

from jmim.core import choices
from jmim.core import config as configs

# Patch: (batch, steps).
PATCHES = {
  192: (64, 50_000),
  256: (32, 60_000),
  320: (16, 50_000),
  384: (16, 60_000),
  464: (8, 40_000),
  512: (8, 40_000),
}
FRESH = ("^main/condition/", "^main/denoiser/")


def get_config(arg: str | None = None):
  options = dict(stage="joint", patch=192, first="", start="", batch=0)
  arg = configs.parse_arg(arg, **options)
  choices.check(arg, stage=("condition", "joint"), patch=PATCHES)
  first = arg.stage == "condition"
  batch, steps = PATCHES[arg.patch]
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
    type="restore.diffir",
    size=arg.patch,
    degraded=dict(degradation="pairs", factor=1),
    first=dict(path=arg.first),
    stage=arg.stage,
  )
  config.init_from.path = arg.start
  if first:
    config.init_from.update(
      path=arg.first, weights="ema", skip=("^main/encoder/",), reinit=FRESH
    )
  late = arg.patch > 384 and not first
  config.optim.update(lr=1e-4 if late else 2e-4, b2=0.99, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  if arg.patch == 384 and not first:  # step 300,000 of all
    config.schedule.update(name="step", drop_factor=0.5, drop_steps=40_000)
  config.ema.decay = 0.999
  total = 100_000 if first else steps
  config.train.update(total_steps=total, checkpoint_steps=5000)
  config.evals.restoration = configs.section(type="restoration", weights="ema")
  return config
