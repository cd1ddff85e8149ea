"""DiT-MoE on the plain 8 x 8 digits, in pixels, conditional on the digit.

    python -m jmim.main --config=configs/dit_moe_digits.py --workdir=runs/moe

Arguments: steps=2000, balance=0.01 (0: no balance loss), objective=ddpm (flow).

Expected by the card (estimates, not yet measured here): the most loaded expert
of a layer gets at most 0.35 of the assignments, the least loaded at least 0.02;
with balance=0 the former is at least 1.3 times as large.

Size: 1.06 M parameters.
Time: not measured.
Expect: share of an expert 0.148 at most, 0.102 at least (claim dit_moe).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=2000, balance=0.01, objective="ddpm")
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
    type="diffusion.dit_moe",
    dims=configs.section(variant="S/2", width=48, depth=4, heads=4),
    size=8,
    channels=1,
    labels=configs.section(classes=10),
    experts=8,
    chosen=2,
    balance=arg.balance,
    noise=configs.section(type=arg.objective),
    sampling=configs.section(
      guidance=2.0, sampler="euler" if arg.objective == "flow" else "ddim"
    ),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    errors=configs.section(type="mean", repeats=4),
    experts=configs.section(type="experts", experts=8),
    samples=configs.section(type="samples", weights="ema", every_steps=1000),
  )
  return config
