"""Arbitrary-scale latent diffusion on shapes: one latent, images of any size.

A UNet on the 16 x 16 x 4 codes of autoencoder_inr_shapes, then its alignment
through the frozen decoder.

    C=configs/arbscale_shapes.py
    python -m jmim.main --config=configs/autoencoder_inr_shapes.py --workdir=AE
    python -m jmim.main --config=$C:autoencoder=AE --workdir=W
    python -m jmim.main --config=$C:stage=align,autoencoder=AE,start=W \
      --workdir=W2
    python -m jmim.main --mode=sample --workdir=W2 --num=16 \
      --config.method.first_stage.implicit.side=100

Arguments: stage=diffusion (align; control: as align, without the image's
error), autoencoder= (its run), start= (a run of diffusion), steps=0 (0: 1500,
and 300 of the others), lowres=False (True: shown the image at 8 pixels; its
samples by the evaluators `samples` and `restoration`).

Size: 1.1 M parameters.
Time: 15 minutes on one core; the first stage 8.
Expect: error of the noise 0.114.
"""

from jmim.core import choices
from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="diffusion", autoencoder="", start="", steps=0, lowres=False
  )
  choices.check(
    arg,
    "correct it; the autoencoder is configs/autoencoder_inr_shapes.py",
    stage=("diffusion", "align", "control"),
  )
  fresh = arg.stage == "diffusion"
  config = configs.base()
  config.data.update(
    name="shapes/zoom",
    batch=32,
    size=32,
    host_crop="center",
    eval_crop="center",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.arbscale",
    size=16,
    channels=4,
    dims=configs.section(
      width=32, multipliers=(1, 2, 2), blocks=1, attend_at=(2,), heads=2
    ),
    first_stage=configs.section(
      variant="ae-f2",
      path=arg.autoencoder,
      implicit=configs.section(hidden=(64,)),
    ),
    condition=configs.section(
      task="lowres" if arg.lowres else "none", reduction=4
    ),
    sampling=configs.section(steps=50),
    error="l2" if fresh else "l1",
    align=arg.stage == "align",
    pixels=configs.section(count=256),
  )
  config.init_from.path = "" if fresh else arg.start
  config.optim.update(lr=1e-3 if fresh else 1e-4, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=20)
  config.ema.decay = 0.995
  config.train.update(
    total_steps=arg.steps or (1500 if fresh else 300), checkpoint_steps=500
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512),
    samples=configs.section(type="samples", weights="ema", examples=16),
  )
  if arg.lowres:
    config.evals.restoration = configs.section(
      type="restoration", weights="ema", limit=256
    )
  return config
