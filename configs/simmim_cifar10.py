"""SimMIM on CIFAR-10: the small runs of the method's card.

    python -m jmim.main --config=configs/simmim_cifar10.py:square=4 \
      --config.data.data_dir=DIR --workdir=runs/simmim

Arguments: square=8 (pixels), all_pixels=False, steps=1200.

Size: 0.807 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, square=8, all_pixels=False, steps=1200)
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
    type="mim.simmim",
    backbone=dict(variant="Ti/4", width=128, depths=(4,), heads=(4,)),
    size=32,
    square=arg.square,
    mask_ratio=0.6,
    all_pixels=arg.all_pixels,
  )
  config.optim.update(
    name="adamw", lr=1e-3, b2=0.999, weight_decay=0.05, clip_norm=5.0
  )
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=400, limit=2048),
    knn=configs.section(type="knn", train_limit=10000, limit=2000, k=(20,)),
    recon=configs.section(type="recon", batches=4),
  )
  return config
