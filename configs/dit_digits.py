"""Class-conditional DiT on the plain 8 x 8 digits, in pixels.

    python -m jmim.main --config=configs/dit_digits.py --workdir=runs/dit
    python -m jmim.main --mode=sample --config=configs/dit_digits.py \
      --workdir=runs/dit --num=100 --guidance=2 --weights=ema

Arguments: steps=3000, patch=2 (4: a coarser, worse model).

Expected by the card (estimates, not yet measured here): with guidance 2 a
classifier names at least 85 % of the samples as asked, with 1 at least 5
points fewer; patch 2 has an error at least 5 % below that of patch 4.

Size: 0.329 M parameters.
Time: not measured.
Expect: 85 % of samples named as asked, guidance 2 (estimate of the card).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, patch=2)
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
  config.method = configs.section(
    type="diffusion.dit",
    dims=configs.section(variant=f"S/{arg.patch}", width=64, depth=4, heads=4),
    size=8,
    channels=1,
    labels=configs.section(classes=10),
    sampling=configs.section(guidance=2.0),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    samples=configs.section(type="samples", weights="ema", every_steps=1000),
  )
  return config
