"""VQ autoencoder on the scattered digits: factor 4, 256 codes.

    python -m jmim.main --config=configs/autoencoder_vq_digits.py --workdir=W

Arguments: steps=800, ema=0.0 (0.99: codes as moving averages, with restart).

The critic plays in the second half. Not yet run here to its end.

Size: 2.74 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=800, ema=0.0)
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=16,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.autoencoder_vq",
    dims=configs.section(variant="vq-f4", width=32, blocks=1),
    size=32,
    codebook=configs.section(
      codes=256, ema=arg.ema, restart=0.1 if arg.ema else 0.0
    ),
    losses=configs.section(
      disc_start=arg.steps // 2, disc_layers=2, disc_width=16, disc_weight=0.1
    ),
  )
  config.optim.update(lr=5e-4, b1=0.5, b2=0.9, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=20)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512),
    restoration=configs.section(type="restoration", limit=512),
  )
  return config
