"""LDM on the scattered digits: the small-scale claim of the paper's card.

A UNet on 8 x 8 x 3 latents of autoencoder_kl_digits, given the digit; with
pixels=True the same UNet on the 32 x 32 images.

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=AE
    python -m jmim.main --config=configs/ldm_digits.py:autoencoder=AE \
      --workdir=W
    python -m jmim.main --mode=sample --workdir=W --num=100 --guidance=2 \
      --weights=ema --config=configs/ldm_digits.py:autoencoder=AE

Arguments: autoencoder= (its run), steps=1200, pixels=False.
`python -m jmim.tools.claim ldm` compares.

Size: 0.985 M parameters.
Time: not measured.
Expect: Frechet distance 0.017 of that in pixels, in 0.24 of the time (claim).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, autoencoder="", steps=1200, pixels=False)
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=32,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.ldm",
    condition=configs.section(task="class", transformer=1, context=32),
    labels=configs.section(classes=10),
    dims=configs.section(
      width=32, multipliers=(1, 2), blocks=1, attend_at=(2,), heads=2
    ),
    sampling=configs.section(steps=50, clip=1.0 if arg.pixels else 0.0),
    size=32 if arg.pixels else 8,
    first_stage=configs.section(
      read="images",
      variant="none" if arg.pixels else "kl-f4",
      width=32,
      blocks=1,
      path=arg.autoencoder,
    ),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=400)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512),
    samples=configs.section(type="samples", weights="ema"),
  )
  return config
