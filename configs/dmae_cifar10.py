"""DMAE on CIFAR-10: the small student of the method's card.

    python -m jmim.main --config=configs/mae_cifar10.py --workdir=runs/teacher \
      --config.method.dims.width=192 --config.method.dims.depth=6 \
      --config.method.dims.heads=6 --config.data.data_dir=DIR
    python -m jmim.main --config=configs/dmae_cifar10.py --workdir=runs/dmae \
      --config.method.teacher=runs/teacher --config.data.data_dir=DIR
    ... --config=configs/dmae_cifar10.py:weight=0.0       plain MAE

Arguments: weight=1.0, mask_ratio=0.75, steps=1000. The teacher is the
encoder 192x6 of such a run of mae_cifar10, or an .npz of it.

Size: 0.506 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, weight=1.0, mask_ratio=0.75, steps=1000)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    device_crop="pad",
    pad=4,
    flip=True,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
  )
  config.method = configs.section(
    type="distill.dmae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=32,
    decoder_dims=dict(width=48, depth=1, heads=4),
    norm_pix=True,
    mask_ratio=arg.mask_ratio,
    teacher="",
    teacher_dims=dict(variant="Ti/4", width=192, depth=6, heads=6),
    student_blocks=(2,),
    teacher_blocks=(4,),
    weight=arg.weight,
  )
  config.optim.update(name="adamw", lr=1.5e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    probe=configs.section(type="probe", train_limit=8000, limit=2000),
  )
  return config
