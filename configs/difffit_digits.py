"""DiffFit on 8 x 8 digits: a DiT of 0 to 4 is adapted to 5 to 9.

    python -m jmim.main --config=configs/difffit_digits.py:stage=host \
      --workdir=runs/digits_low
    python -m jmim.main --workdir=runs/difffit \
      --config=configs/difffit_digits.py:host=runs/digits_low
    python -m jmim.main --mode=export --workdir=runs/difffit --out=PART

Arguments: stage=difffit (host: the DiT that is adapted; bitfit, full, scratch:
what it is compared with), host="" (its run), steps=0 (0: 3000 of the host, 300
of the others: a few times that trains these digits from scratch). As in the
paper the rate of what is tuned is ten times that of all parameters. Measured by
`python -m jmim.tools.claim difffit`.

Size: 5064 parameters.
Time: half a minute on one CPU core, after two for the host.
Expect: loss 0.112 (0.102 with all tuned, 0.151 from scratch).
"""

from jmim.core import config as configs

NETWORK = dict(variant="S/2", width=64, depth=4, heads=4)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, stage="difffit", host="", steps=0)
  config, host = configs.base(), arg.stage == "host"
  config.data.update(
    name="digits/low" if host else "digits/high",
    batch=128,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  config.method = configs.section(
    type="diffusion.dit",
    dims=configs.section(**NETWORK),
    size=8,
    channels=1,
    labels=configs.section(classes=5),
    sampling=configs.section(guidance=2.0),
  )
  if not host:
    config.method.update(
      type="diffusion.difffit",
      mode=arg.stage,
      host=configs.section(path=arg.host, weights="ema"),
      host_classes=5,
    )
  few = arg.stage in ("difffit", "bitfit")
  config.optim.update(lr=1e-2 if few else 1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=30)
  config.ema.decay = 0.999 if host else 0.99
  steps = arg.steps or (3000 if host else 300)
  config.train.update(total_steps=steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", weights="ema", every_steps=100),
    samples=configs.section(type="samples", weights="ema", every_steps=500),
  )
  return config
