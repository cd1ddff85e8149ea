"""Class-conditional LightningDiT on the plain 8 x 8 digits, in pixels.

    python -m jmim.main --config=configs/lightningdit_digits.py --workdir=W
    python -m jmim.main --mode=sample --config=configs/lightningdit_digits.py \
      --workdir=W --num=100 --guidance=2 --weights=ema

Arguments: steps=3000, sit=False (True: SiT, the same network without RMSNorm,
SwiGLU, rotary positions and normed q and k, and without the direction loss).
Not yet run to its end here.

Size: 0.329 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

SIT = dict(
  norm="layer",
  swiglu=False,
  rotary=False,
  qk_norm=False,
  direction=0.0,
  noise=dict(uniform=True, spare=True, shift=1.0),
)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, sit=False)
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
    type="diffusion.lightningdit",
    dims=configs.section(variant="S/2", width=64, depth=4, heads=4),
    size=8,
    channels=1,
    labels=configs.section(classes=10),
    sampling=configs.section(guidance=2.0, steps=50, clip=1.0),
    **(SIT if arg.sit else {}),
  )
  config.optim.update(lr=1e-3, b2=0.95, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    samples=configs.section(type="samples", weights="ema", every_steps=1000),
  )
  return config
