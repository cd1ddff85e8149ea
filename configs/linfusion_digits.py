"""LinFusion on the scattered digits at 16 px: a host, then its mixers.

    python -m jmim.main --config=configs/linfusion_digits.py:stage=host \
      --workdir=HOST
    python -m jmim.main --config=configs/linfusion_digits.py:host=HOST \
      --workdir=W
    python -m jmim.main --mode=sample --workdir=W --num=64 --weights=raw \
      --config=configs/linfusion_digits.py:host=HOST,rungs=1

The host is an LDM without a first stage, given the digit: 256 tokens at its
finer level and 64 at its coarser. The last command doubles each sample by
SDEdit, to 32 px, which neither has seen.

Arguments: stage=student (host), host= (its run), form=linear (softmax, plain,
unnormalised, causal, bidirectional), rungs=0 of the ladder, steps=0: 1500 of
the host, 1000 of a student.
`python -m jmim.tools.claim linfusion` compares forms (docs/claims.md).

Size: 0.159 M parameters.
Time: 14 minutes on one core; the host 21.
Expect: error of the noise 0.0172, that of its host.
"""

from jmim.core import choices
from jmim.core import config as configs

STEPS = {"host": 1500, "student": 1000}
SIDE, HALF = 16, (0.5, 0.5, 0.5)
# What a student has of its host.
MODEL = dict(
  size=SIDE,
  channels=3,
  dims=dict(width=32, multipliers=(1, 2), blocks=1, attend_at=(1, 2), heads=2),
  first_stage=dict(variant="none"),
  condition=dict(task="class", transformer=1, context=32),
  labels=dict(classes=10),
  sampling=dict(steps=50, clip=1.0),
)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, stage="student", host="", form="linear", rungs=0, steps=0
  )
  choices.check(arg, stage=STEPS)
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=32,
    size=SIDE,
    flip=False,
    mean=HALF,
    std=HALF,
  )
  config.data.update(host_crop="center", eval_crop="center")
  if arg.stage == "host":
    config.method = configs.section(type="latent.ldm", **MODEL)
    config.ema.decay = 0.995
  else:
    config.method = configs.section(
      type="diffusion.linfusion",
      host=dict(path=arg.host, weights="ema"),
      mixers=dict(form=arg.form, tokens=SIDE**2),
      ladder=dict(rungs=arg.rungs),
      **MODEL,
    )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.train.update(
    total_steps=arg.steps or STEPS[arg.stage],
    checkpoint_steps=400,
    log_steps=50,
  )
  weights = "ema" if arg.stage == "host" else "raw"
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512, weights=weights),
    samples=configs.section(type="samples", weights=weights),
  )
  return config
