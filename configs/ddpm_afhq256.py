"""DDPM of one kind of animal at 256 px, one of the pair of CycleDiffusion.

    python -m jmim.main --config=configs/ddpm_afhq256.py --workdir=CAT \
      --config.data.data_dir=AFHQ/CAT
    ... --config.data.data_dir=AFHQ/DOG --workdir=DOG

A folder of AFHQ v1 has `train/<kind>` and `test/<kind>` below it. Arguments:
steps=50000, batch=64.

The network is that of the published models (i_DDPM for AFHQ: width 128, 1
block a level, attention at 16 px) without their learned variance, which
CycleDiffusion leaves aside. Reference: FID of what is translated, see
cycle_afhq256. Not trained here.

Size: 93.6 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=50_000, batch=64)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="folder",
    batch=arg.batch,
    size=256,
    host_crop="center",
    eval_crop="center",
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="diffusion.ddpm",
    size=256,
    dims=dict(
      width=128,
      multipliers=(1, 1, 2, 2, 4, 4),
      blocks=1,
      attend_at=(16,),
      heads=0,
      head_width=64,
      scale_shift=True,
      updown=True,
      dropout=0.0,
    ),
    sampling=dict(steps=250),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=5000)
  config.ema.decay = 0.9999
  config.train.update(total_steps=arg.steps, checkpoint_steps=5000)
  config.evals = configs.section(
    samples=configs.section(type="samples", weights="ema", every_steps=5000),
  )
  return config
