"""I-JEPA on CIFAR-10: two targets on an 8x8 grid, a tiny ViT.

    python -m jmim.main --config=configs/ijepa_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/ijepa

Arguments: steps=1500.

Size: 0.518 M parameters.
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
    type="mim.ijepa",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=32,
    predictor_dims=dict(width=48, depth=2, heads=4),
    masks=dict(targets=2, min_keep=4),
    target=dict(momentum=0.996, steps=arg.steps),
  )
  config.optim.update(name="adamw", lr=1e-3, b2=0.999, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=150)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    probe=configs.section(type="probe", train_limit=8000, limit=2000),
  )
  return config
