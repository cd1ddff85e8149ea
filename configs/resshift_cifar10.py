"""ResShift on CIFAR-10 at 16 px, from 4 px.

Data: TFDS `cifar10` as ArrayRecord in --config.data.data_dir; the host halves
its images. Each is blurred a little, reduced by means of 4 x 4 and given noise.
It is diffused in pixels, in four steps.

    python -m jmim.main --config=configs/resshift_cifar10.py --workdir=T

Arguments: steps=1500. It is the teacher of tad_sr_cifar10.

Size: 0.754 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

SIDE, HALF = 16, (0.5, 0.5, 0.5)
# What a student has of its teacher.
MODEL = dict(
  size=SIDE,
  dims=dict(
    width=32, multipliers=(1, 2), blocks=1, attend_at=(2,), norm_groups=8
  ),
  swin=dict(width=32, depth=2, window=4, mlp_ratio=2.0, head_width=16),
  first_stage=dict(variant="none"),
  degraded=dict(degradation="area", factor=4),
  noise=dict(times=4, kappa=1.0, least=0.1, scaling="pixel"),
)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1500)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=32,
    size=SIDE,
    host_crop="center",
    eval_crop="center",
    mean=HALF,
    std=HALF,
  )
  config.method = configs.section(type="restore.resshift", **MODEL)
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512, weights="ema"),
    restoration=configs.section(type="restoration", limit=512, weights="ema"),
  )
  return config
