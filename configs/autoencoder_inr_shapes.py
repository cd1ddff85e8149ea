"""Autoencoder with an implicit decoder on shapes, seen at 32, shown up to 64.

Images of 64 pixels are reduced to 32 and encoded to 16 x 16 x 4; the truth is
the image at sides 16 .. 64. (With codes of 8 x 8, or more hidden layers, a
colour of three is lost for thousands of steps: docs/claims.md, note p.)

    python -m jmim.main --config=configs/autoencoder_inr_shapes.py --workdir=W

Arguments: steps=1000, baseline=False (True: the usual decoder to 32 pixels,
trained on those, and bicubic interpolation).

Size: 0.62 M parameters.
Time: 8 minutes on one core.
Expect: restoration 28.5 dB, a baseline 27.9 dB (docs/claims.md).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000, baseline=False)
  config = configs.base()
  config.data.update(
    name="shapes/zoom",
    batch=16,
    size=64,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.autoencoder_inr",
    size=32,
    image=64,
    dims=configs.section(variant="ae-f2"),
    implicit=configs.section(hidden=() if arg.baseline else (64,)),
    pixels=configs.section(
      count=512, sides=(32, 32) if arg.baseline else (16, 64)
    ),
  )
  config.optim.update(lr=1e-3, b2=0.99, weight_decay=0.0)
  config.schedule.update(name="cosine", warmup_steps=20)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    restoration=configs.section(type="restoration", limit=256)
  )
  return config
