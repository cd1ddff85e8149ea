"""DiffMatch on warped pictures of CIFAR-10: flows on a grid of 16 x 16.

Features are those of a small classifier of CIFAR-10; the pairs are made beside
it (`warps/cifar10`), in DIR:

    python -m jmim.main --config=configs/convnet_digits.py:data=cifar10 \
      --workdir=F --config.data.data_dir=DIR
    C=configs/diffmatch_warps.py:features=F
    python -m jmim.main --config=$C --workdir=W --config.data.data_dir=DIR
    python -m jmim.main --config=$C,stage=fine,coarse=W --workdir=W2 \
      --config.data.data_dir=DIR

The last is the second stage, on 32 x 32: a run beside its frozen coarse model,
with whose weights it starts.

Arguments: features= (a run of the classifier), stage=coarse (fine), coarse= (a
run of the first stage), steps=0: 2000, 1000 of the second stage,
data=warps/cifar10 (warps/affine).
`python -m jmim.tools.claim diffmatch` compares.

Not yet measured here.

Size: 1.21 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

SIDE, GRID = 32, 16
STEPS = {"coarse": 2000, "fine": 1000}
MATCHER = dict(
  size=GRID,
  levels=((SIDE, 1), (SIDE, 2)),
  radius=3,
  dims=dict(width=32, multipliers=(1, 2, 2), blocks=1, attend_at=(4,), heads=2),
)
FINE = MATCHER | dict(size=SIDE, levels=((2 * SIDE, 1),))


def get_config(arg: str | None = None):
  names = dict(features="", stage="coarse", coarse="")
  arg = configs.parse_arg(arg, **names, steps=0, data="warps/cifar10")
  choices.check(arg, stage=STEPS)
  config, fine = configs.base(), arg.stage == "fine"
  half, pairs = (0.5,) * 3, (("images", 2, SIDE, SIDE),)
  config.data.update(name=arg.data, batch=16 if fine else 32, size=SIDE)
  config.data.update(pictures=pairs, flip=False, mean=half, std=half)
  # The network of configs/convnet_digits.py.
  net = dict(variant="small", width=16)
  config.method = configs.section(
    type="dense.diffmatch",
    size=SIDE,
    features=dict(net=net, host=dict(path=arg.features)),
    matcher=FINE if fine else MATCHER,
    hypotheses=dict(count=8, severity=3),
  )
  if fine:
    host = dict(path=arg.coarse, weights="ema")
    config.method.update(
      type="dense.diffmatch_fine", coarse=MATCHER, coarse_host=host
    )
    config.init_from.update(path=arg.coarse, weights="ema")
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  steps = arg.steps or STEPS[arg.stage]
  config.train.update(total_steps=steps, checkpoint_steps=1000, log_steps=50)
  more = dict(counts=(1, 2, 4), region="ambiguous", limit=500, weights="ema")
  one = lambda predict: configs.section(type="flow", predict=predict, **more)
  config.evals = configs.section(
    flow=one("flow"), blind=one("flow_blind"), noisy=one("flow_gaussian_noise")
  )
  return config
