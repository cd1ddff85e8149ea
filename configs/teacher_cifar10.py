"""A small supervised ViT on CIFAR-10: the teacher of maskalign_cifar10.

    python -m jmim.main --config=configs/teacher_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/teacher

Arguments: steps=1500 (4 epochs). Its workdir is `method.teacher`, of the family
"dino": learned positions and a class token.

Size: 0.809 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1500)
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
    type="supervised.finetune",
    dims=dict(variant="Ti/4", width=128, depth=4, heads=4),
    size=32,
    classes=10,
    drop_path=0.0,
    mixing=dict(mixup=0.0, cutmix=0.0, smoothing=0.0),
  )
  config.optim.update(name="adamw", lr=1e-3, b2=0.999, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=500)
  )
  return config
