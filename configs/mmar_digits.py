"""MMAR on the plain 8 x 8 digits: 16 tokens of 2 x 2 grey values, and words.

Captions are "the digit zero" to "the digit nine"; a model from nothing, two
blocks. No download. Stage one masks at least 70 % of an image, two any share,
three mostly learns captions of whole images:

    R=configs/mmar_digits.py
    python -m jmim.main --config=$R --workdir=runs/mmar1
    python -m jmim.main --config=$R:stage=2,start=runs/mmar1 --workdir=runs/mmar
    python -m jmim.main --mode=sample --config=$R:stage=2,start=runs/mmar1 \
      --workdir=runs/mmar --num=100 --guidance=2 --weights=ema

and with --config.method.text.sampled=True the words that it says of what it has
drawn. Arguments: stage=1 (2, 3), start= (a
run of the stage before), steps=2000, head=v (eps, x0, edm).

Not yet measured here: `python -m jmim.tools.claim mmar`.

Size: 0.3 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

# Of each stage: least share masked, share of captions, learning rate.
STAGES = {1: (0.7, 0.5, 1e-3), 2: (0.0, 0.5, 1e-3), 3: (0.0, 0.9, 3e-4)}
NAMES = "zero one two three four five six seven eight nine".split()


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, stage=1, start="", steps=2000, head="v")
  choices.check(arg, stage=STAGES)
  least, describe, rate = STAGES[arg.stage]
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
    type="latent.mmar",
    size=8,
    channels=1,
    patch=2,
    text=dict(of=tuple(f"the digit {name}" for name in NAMES)),
    network=dict(lm=dict(dims=blocks, hidden=176, theta=1e4), vision=blocks),
    sequence=dict(least_rate=least, describe=describe),
    first_stage=dict(variant="none"),
    head=dict(width=64, depth=3, prediction=dict(kind=arg.head)),
    sampling=dict(steps=16, head_steps=50),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=rate, b2=0.95, weight_decay=0.02, clip_norm=3.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=dict(type="loss", every_steps=500),
    samples=dict(type="samples", weights="ema", every_steps=1000),
    judged=dict(type="judged", weights="ema", samples=500),
  )
  return config
