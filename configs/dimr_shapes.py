"""DiMR on one thing at 16 px: 4 x 4 tokens, then a map of 16 x 16.

    python -m jmim.main --config=configs/dimr_shapes.py --workdir=runs/dimr
    python -m jmim.main --mode=sample --config=configs/dimr_shapes.py \
      --workdir=runs/dimr --num=64 --guidance=1.4 --weights=ema

Arguments: kind=two (one: a transformer on patches of 4 alone, no smaller;
adaln: two branches with adaLN-zero in place of norms that depend on time),
steps=1500. `errors/low` is the error of the noise where there is little of it,
n <= 200 of 1000, at full resolution whatever the kind.

Size: 0.487 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

TWO = dict(
  kinds=("transformer", "convnext"),
  widths=(64, 32),
  blocks=(5, 4),
  heads=(4, 1),
  kernels=(1, 7),
  patches=(4, 1),
)
ONE = dict(
  kinds=("transformer",),
  widths=(92,),  # 5 % larger than the two branches
  blocks=(5,),
  heads=(4,),
  kernels=(1,),
  patches=(4,),
)
KINDS = {"two": TWO, "one": ONE, "adaln": dict(TWO, norm="adaln")}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, kind="two", steps=1500)
  choices.check(arg, kind=KINDS)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="shapes/attributes", batch=64, size=16, flip=False, mean=half, std=half
  )
  config.method = configs.section(
    type="latent.dimr",
    size=16,
    channels=3,
    dims=configs.section(**KINDS[arg.kind]),
    labels=configs.section(classes=4),
    sampling=configs.section(steps=50, clip=1.0),
  )
  config.optim.update(lr=1e-3, b1=0.99, b2=0.99, weight_decay=0.03)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(
      type="mean", weights="ema", limit=1024, repeats=4, every_steps=500
    ),
    samples=configs.section(type="samples", weights="ema", every_steps=500),
  )
  return config
