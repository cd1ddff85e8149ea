"""256 codes of 4x4 patches of CIFAR-10: the tokenizer of cae_cifar10.

    python -m jmim.main --config=configs/codebook_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/codes

Arguments: codes=256, steps=400.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, codes=256, steps=400)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=256,
    size=32,
    flip=True,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
  )
  config.method = configs.section(
    type="mim.codebook", patch=4, size=32, codes=arg.codes
  )
  config.optim.update(name="adamw", lr=0.02, b2=0.99, weight_decay=0.0)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(loss=configs.section(type="loss", limit=2048))
  return config
