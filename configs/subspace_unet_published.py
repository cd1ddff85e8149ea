"""The UNet of Wang et al. 2024 on points of two subspaces, at their size.

    python -m jmim.main --config=configs/subspace_unet_published.py --workdir=W

Arguments: data=k2d7, the example of their script (2 x 350 points of 7 of 48
dimensions); images=6_000_000.

Theirs (huijieZH/Diffusion-Model-Generalizability@6c7576c): rate 1e-3 behind a
ramp of 10 M images, of which only 6 M are seen: it ends at 0.6e-3, which is the
ramp below. Half-life of the EMA 0.5 M images. Not run here.

Size: 51.3 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data.builders import molrg

BATCH, HALF_LIFE, RAMP = 512, 500_000, 10_000_000


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, data="k2d7", images=6_000_000)
  choices.check(arg, data=molrg.CONFIGS)
  config = configs.base()
  config.data.update(
    name=f"molrg/{arg.data}",
    eval_split="test",
    batch=BATCH,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="theory.subspace_unet",
    dims=configs.section(
      width=128, multipliers=(2, 2, 2), blocks=4, dropout=0.13
    ),
  )
  config.optim.update(
    lr=1e-3 * min(1.0, arg.images / RAMP), b2=0.999, weight_decay=0.0
  )
  config.schedule.update(name="constant", warmup_images=min(RAMP, arg.images))
  config.ema.decay = 0.5 ** (BATCH / HALF_LIFE)
  config.train.update(total_images=arg.images, checkpoint_steps=2000)
  config.evals = configs.section(
    errors=configs.section(type="mean", weights="ema"),
    jacobian=configs.section(type="jacobian", weights="ema", examples=32),
    novelty=configs.section(type="novelty", weights="ema", of="vector"),
  )
  return config
