"""LightningDiT in the latents of va_vae_cifar10, given the class.

    python -m jmim.tools.latent_statistics --out=runs/statistics.npz \
      --config=configs/lightningdit_cifar10.py:first_stage=VAE \
      --config.data.data_dir=DIR
    R=configs/lightningdit_cifar10.py
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=$R:first_stage=VAE,statistics=runs/statistics.npz

VAE: a run of va_vae_cifar10. Images are encoded in every step. Arguments:
first_stage=, statistics= (empty: latents as they are), steps=800, judge= (a run
that classifies, as of teacher_cifar10; empty: a linear classifier of pixels).

Not yet measured here: `python -m jmim.tools.claim va_vae`.

Size: 0.728 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, first_stage="", statistics="", steps=800, judge=""
  )
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=64,
    size=32,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.lightningdit",
    dims=dict(variant="S/1", width=96, depth=4, heads=4),
    size=8,
    channels=16,
    labels=dict(classes=10),
    first_stage=dict(
      read="images",
      variant="kl-f4-z16",
      width=16,
      blocks=1,
      scale=1.0,
      path=arg.first_stage,
      statistics=arg.statistics,
    ),
    sampling=dict(steps=25),
  )
  config.optim.update(lr=1e-3, b2=0.95, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", limit=1000),
    samples=configs.section(type="samples", weights="ema"),
    judged=configs.section(
      type="judged",
      weights="ema",
      classifier=arg.judge,
      train_limit=5000,
      limit=2000,
      samples=500,
    ),
  )
  return config
