"""256 codes of 4x4 patches of CIFAR-10: the tokenizer of cae_cifar10.

    python -m jmim.main --config=configs/codebook_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/codes

By Lloyd's k-means instead, of patches or of the features of a run of
mae_cifar10 (mae_digits), as digit_cifar10 wants them:

    python -m jmim.tools.make_codebook --out=codes.npz --codes=64 \
      --config=configs/codebook_cifar10.py:features=runs/mae

Arguments: codes=256, steps=400, data=cifar10 (digits), features= (a run).

Size: 0.0123 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, codes=256, steps=400, data="cifar10", features=""
  )
  choices.check(arg, data=("cifar10", "digits"))
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
  if arg.data == "digits":
    config.data.update(name="digits/scattered", flip=False)
    config.data.update(mean=(0.5,) * 3, std=(0.5,) * 3)
  if arg.features:
    small = dict(width=64, depth=3, heads=2)
    dims = dict(variant="Ti/4", width=96, depth=4, heads=4)
    config.method.teacher = dict(
      family="mae",
      path=arg.features,
      dims=dims | (small if arg.data == "digits" else {}),
      layer=-2,
      norm=True,
    )
    config.method.update(mean=config.data.mean, std=config.data.std)
  config.optim.update(name="adamw", lr=0.02, b2=0.99, weight_decay=0.0)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(loss=configs.section(type="loss", limit=2048))
  return config
