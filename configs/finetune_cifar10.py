"""Fine-tuning on CIFAR-10, after configs/mae_cifar10.py.

    python -m jmim.main --config=configs/finetune_cifar10.py \
      --workdir=runs/cifar10_ft --config.data.data_dir=DIR \
      --config.init_from.path=runs/cifar10

Arguments: steps=3000. Without init_from.path it trains from scratch. Measured
(one seed): 66.8 % after 3000 steps on an MAE of 3000 steps.

Size: 0.46 M parameters.
Time: not measured.
Expect: 66.8 % after an MAE of 3000 steps.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000)
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
    size=32,
    classes=10,
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    mixing=dict(mixup=0.8, cutmix=1.0),
    drop_path=0.1,
  )
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.05, layer_decay=0.75)
  config.schedule.update(warmup_share=0.1, min_lr=1e-6)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.ema.decay = 0.999
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=500),
    ema=configs.section(type="accuracy", weights="ema"),
  )
  return config
