"""Fine-tuning of a Swin on CIFAR-10, at 224 pixels.

    python -m jmim.convert --from=timm_swin --weights=FOLDER --out=runs/theirs
    python -m jmim.main --config=configs/swin_cifar10.py --workdir=runs/swin \
      --config.data.data_dir=DIR --config.init_from.path=runs/theirs

Arguments: variant=SwinT/4, size=224, window=7, steps=5000. init_from.path may
also be a run of `mim.simmim` with the same Swin (skip its mask token:
--config.init_from.skip="('^main/head/','mask_token')"); without it training is
from scratch. Not yet run to its end here.

Size: 27.5 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="SwinT/4", size=224, window=7, steps=5000
  )
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=arg.size,
    host_crop="resized",
    crop_scale=(0.5, 1.0),
    eval_crop="center",
    flip=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
  )
  config.method = configs.section(
    type="supervised.swin",
    size=arg.size,
    classes=10,
    dims=dict(variant=arg.variant, window=arg.window),
    mixing=dict(mixup=0.8, cutmix=1.0),
    drop_path=0.1,
  )
  config.init_from.update(skip=("^main/head/",), reinit=("^main/head/",))
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.05)
  config.schedule.update(warmup_steps=500, min_lr=1e-6)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=1000, log_steps=50
  )
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=1000),
    knn=configs.section(
      type="knn", predict="features", train_limit=20_000, limit=2000
    ),
  )
  return config
