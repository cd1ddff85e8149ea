"""VQ-Diffusion on the plain 8 x 8 digits, by class: 64 grey values of 8 levels.

    python -m jmim.main --config=configs/vq_diffusion_digits.py --workdir=runs/v
    python -m jmim.main --mode=sample --config=configs/vq_diffusion_digits.py \
      --workdir=runs/v --num=100 --guidance=2 --weights=ema \
      --config.method.sampling.truncation=0.86

Arguments: steps=3000, levels=8, masked=0.9 (share masked at the last time, the
rest is replaced; 0: nothing is masked; 0.99999: as released), codebook= (a run
of `mim.codebook`: 16 codes of patches of 2 x 2 in place of grey values).

Not yet measured here: `python -m jmim.tools.claim vq_diffusion`, which makes
such a codebook.

Size: 0.275 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000, levels=8, masked=0.9, codebook="")
  config = configs.base()
  config.data.update(name="digits/plain", batch=128, size=8, channels=1)
  config.data.update(flip=False, mean=(0.5,), std=(0.5,))
  if arg.codebook:
    codes = dict(kind="patches", patch=2, side=4, vocabulary=16)
    codes |= dict(path=arg.codebook)
  else:
    codes = dict(kind="levels", side=8, vocabulary=arg.levels)
  process = dict(times=20, mask_last=arg.masked)
  if not arg.masked:
    process["mask_first"] = 0.0
  config.method = configs.section(
    type="discrete.vq_diffusion",
    codes=dict(read="images", channels=1, **codes),
    condition=dict(kind="class", classes=10),
    network=dict(width=64, depth=4, heads=4),
    process=process,
    sampling=dict(start="prior"),
  )
  config.optim.update(lr=1e-3, b2=0.96, weight_decay=0.045, clip_norm=0.5)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    bound=configs.section(type="nll", weights="ema"),
    recon=configs.section(type="recon", batches=4),
    samples=configs.section(type="samples", weights="ema", every_steps=1000),
    judged=configs.section(type="judged", weights="ema", samples=500),
  )
  return config
