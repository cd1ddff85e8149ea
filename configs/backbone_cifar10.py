"""Fine-tuning of a ViT of another library on CIFAR-10, at 224 pixels.

    python -m jmim.convert --weights=FOLDER --out=runs/theirs
    python -m jmim.main --config=configs/backbone_cifar10.py:variant=B/16 \
      --workdir=runs/theirs_ft --config.data.data_dir=DIR \
      --config.init_from.path=runs/theirs

Arguments: variant=B/16, size=224, steps=5000. FOLDER is one of the Hugging
Face hub with a ViT; for other families set the fields of `config.method` that
`runs/theirs/config.json` shows (LayerScale, registers, pool ...). Without
init_from.path it trains from scratch. Not yet run to its end here.

Size: 85.8 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="B/16", size=224, steps=5000)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=arg.size,
    host_crop="resized",
    crop_scale=(0.5, 1.0),
    eval_crop="center",
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="supervised.backbone",
    size=arg.size,
    classes=10,
    dims=dict(variant=arg.variant),
    mixing=dict(mixup=0.8, cutmix=1.0),
    drop_path=0.1,
    pool="cls",
  )
  config.init_from.update(skip=("^main/head/",), reinit=("^main/head/",))
  config.optim.update(lr=5e-4, b2=0.999, weight_decay=0.05, layer_decay=0.75)
  config.schedule.update(warmup_steps=500, min_lr=1e-6)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=1000, log_steps=50
  )
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=1000),
    knn=configs.section(
      type="knn", predict="cls", train_limit=20_000, limit=2000
    ),
  )
  return config
