"""MaskGIT on the plain 8 x 8 digits: 64 grey values of 8 levels, by class.

    python -m jmim.main --config=configs/maskgit_digits.py --workdir=runs/mg
    python -m jmim.main --mode=sample --config=configs/maskgit_digits.py \
      --workdir=runs/mg --num=100 --steps=8 --weights=ema

Arguments: steps=3000, levels=8, codebook= (a run of autoencoder_vq_digits: its
64 codes of the scattered digits, 32 px, in place of grey values).

Not yet measured here. `python -m jmim.tools.claim maskgit` needs no training.

Size: 0.21 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, levels=8, codebook="")
  config = configs.base()
  if arg.codebook:
    config.data.update(name="digits/scattered", size=32, mean=(0.5,) * 3)
    config.data.std = (0.5,) * 3
    codes = dict(kind="vq", variant="vq-f4", width=32, blocks=1, channels=3)
    codes |= dict(vocabulary=256, path=arg.codebook)
  else:
    config.data.update(name="digits/plain", size=8, channels=1)
    config.data.update(mean=(0.5,), std=(0.5,))
    codes = dict(kind="levels", vocabulary=arg.levels, channels=1)
  config.data.update(batch=128, flip=False)
  config.method = configs.section(
    type="discrete.maskgit",
    codes=dict(read="images", side=8, **codes),
    classes=10,
    dims=dict(width=64, depth=4, heads=4),
    sampling=dict(steps=8),
  )
  config.optim.update(lr=1e-3, b2=0.96, weight_decay=0.045)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    recon=configs.section(type="recon", batches=4),
    samples=configs.section(type="samples", weights="ema", every_steps=1000),
    judged=configs.section(type="judged", weights="ema", samples=500),
  )
  return config
