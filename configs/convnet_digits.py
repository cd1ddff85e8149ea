"""A small classifier of the scattered digits: features for other recipes.

    python -m jmim.main --config=configs/convnet_digits.py --workdir=W

Arguments: steps=600, data=digits/scattered (cifar10, with
--config.data.data_dir=DIR).

Not yet measured here.

Size: 0.0242 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=600, data="digits/scattered")
  config = configs.base()
  config.data.update(
    name=arg.data,
    batch=64,
    size=32,
    flip=False,
    device_crop="pad",
    pad=2,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="supervised.convnet", size=32, width=16, classes=10
  )
  config.optim.update(lr=3e-3, b2=0.99, weight_decay=0.01)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=600)
  config.evals = configs.section(accuracy=configs.section(type="accuracy"))
  return config
