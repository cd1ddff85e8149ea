"""MAR on the plain 8 x 8 digits, by class: 16 tokens of 2 x 2 grey values.

    python -m jmim.main --config=configs/mar_digits.py --workdir=runs/mar
    python -m jmim.main --mode=sample --config=configs/mar_digits.py \
      --workdir=runs/mar --num=100 --steps=8 --guidance=2 --weights=ema

Arguments: steps=3000, head=diffusion (regression: the baseline, which predicts
the mean of a token).

Not yet measured here: `python -m jmim.tools.claim mar` compares both heads.

Size: 0.306 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, head="diffusion")
  config = configs.base()
  config.data.update(
    name="digits/plain",
    batch=128,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  blocks = dict(width=64, depth=2, heads=4)
  config.method = configs.section(
    type="latent.mar",
    size=8,
    channels=1,
    patch=2,
    network=configs.section(
      encoder=blocks, decoder=blocks, buffer=4, dropout=0.0
    ),
    labels=configs.section(classes=10),
    first_stage=configs.section(variant="none"),
    head=configs.section(kind=arg.head, width=64, depth=3),
    sampling=configs.section(steps=16, head_steps=50),
  )
  config.optim.update(lr=1e-3, b2=0.95, weight_decay=0.02, clip_norm=3.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    samples=configs.section(type="samples", weights="ema", every_steps=1000),
    judged=configs.section(type="judged", weights="ema", samples=500),
  )
  return config
