"""DDPM on CelebA-HQ at 256 px, of the size of Ho et al. 2020: a base.

Images in DIR/train and DIR/test, in folders.

    python -m jmim.main --config=configs/ddpm_celebahq.py --workdir=BASE \
      --config.data.data_dir=DIR

Arguments: steps=500000, batch=64.

Reference: their published weights are `google/ddpm-ema-celebahq-256`, which
Haas et al. 2024 look into. Not run here.

Size: 114 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=500_000, batch=64)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(name="folder", batch=arg.batch, size=256, flip=True)
  config.data.update(host_crop="center", eval_crop="center")
  config.data.update(mean=half, std=half)
  config.method = configs.section(
    type="diffusion.ddpm",
    size=256,
    dims=configs.section(
      width=128,
      multipliers=(1, 1, 2, 2, 4, 4),
      attend_at=(16,),
      heads=1,
      dropout=0.0,
      # As the published network has it; see its family, `diffusers_unet2d`.
      time_order="sin_cos",
      time_inclusive=True,
      norm_eps=1e-6,
      late_pad=True,
    ),
  )
  config.optim.update(lr=2e-5, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=5000)
  config.ema.decay = 0.9999
  config.train.update(total_steps=arg.steps, checkpoint_steps=10_000)
  config.evals = configs.section(
    samples=configs.section(type="samples", weights="ema", every_steps=10_000)
  )
  return config
