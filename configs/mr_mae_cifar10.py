"""MR-MAE on CIFAR-10: the small student of the method's card.

    python -m jmim.main --config=configs/mr_mae_cifar10.py --workdir=W \
      --config.method.teacher.path=runs/teacher --config.data.data_dir=DIR
    ... --config=configs/mr_mae_cifar10.py:backbone=mcmae
    ... --config=configs/mr_mae_cifar10.py:teacher=none      plain MAE

Arguments: backbone=vit (mcmae), teacher=dino (none), visible=random
(attention), steps=1500. The teacher is a ViT 128x4 of patch 4 trained with
labels: the workdir of teacher_cifar10. Its claim compares 500 steps with and
without it (python -m jmim.tools.claim mr_mae): probe 51.4 and 42.9 %,
reconstruction 0.734 and 0.740.

Size: 0.5 M parameters.
Time: not measured.
Expect: probe 51.4 %, without the teacher 42.9 % (500 steps).
"""

from jmim.core import choices
from jmim.core import config as configs

BACKBONES = {
  "vit": dict(type="vit", variant="Ti/4", width=96, depth=4, heads=4),
  # A first stage on every pixel, so that the grid is that of patch 4.
  "mcmae": dict(
    type="mcmae",
    widths=(16, 32, 96),
    depths=(1, 1, 3),
    strides=(1, 2, 2),
    heads=4,
  ),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, backbone="vit", teacher="dino", visible="random", steps=1500
  )
  choices.check(arg, backbone=BACKBONES)
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
    type="distill.mr_mae",
    dims=BACKBONES[arg.backbone],
    size=32,
    decoder_dims=dict(width=48, depth=1, heads=4),
    mask_ratio=0.75,
    norm_pix=True,
    teacher=dict(
      family=arg.teacher,
      dims=dict(variant="Ti/4", width=128, depth=4, heads=4),
    ),
    mean=mean,
    std=std,
    visible=arg.visible,
  )
  config.optim.update(name="adamw", lr=1.5e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_share=0.1)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    probe=configs.section(type="probe", train_limit=8000, limit=2000),
    recon=configs.section(type="recon", every_steps=1000, batches=8),
  )
  return config
