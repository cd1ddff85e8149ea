"""MaskAlign on CIFAR-10: the small student of the method's card.

    python -m jmim.main --config=configs/maskalign_cifar10.py --workdir=W \
      --config.method.teacher=runs/teacher --config.data.data_dir=DIR
    ... --config=configs/maskalign_cifar10.py:fusion=simple

Arguments: fusion=linear, visible=attention, steps=800. The teacher is a ViT
128x4 of patch 4 trained with labels: the workdir of teacher_cifar10.

Size: 0.866 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, fusion="linear", visible="attention", steps=800)
  config = configs.base()
  mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    device_crop="pad",
    pad=4,
    flip=True,
    mean=mean,
    std=std,
  )
  config.method = configs.section(
    type="distill.maskalign",
    dims=dict(variant="Ti/4", width=128, depth=4, heads=4),
    size=32,
    drop_path=0.0,
    teacher="",
    teacher_kind="dino",
    teacher_dims=dict(variant="Ti/4", width=128, depth=4, heads=4),
    mean=mean,
    std=std,
    mask_ratio=0.7,
    alignment=dict(fusion=arg.fusion, layers="top3"),
    visible=arg.visible,
  )
  config.optim.update(name="adamw", lr=1e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=80)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=400, limit=2048),
    probe=configs.section(type="probe", train_limit=8000, limit=2000),
  )
  return config
