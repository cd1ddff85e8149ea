"""Fine-tuning on scattered digits, after configs/mae_digits.py.

    python -m jmim.main --config=configs/finetune_digits.py \
      --workdir=runs/digits_ft --config.init_from.path=runs/digits

Arguments: steps=1000. Without init_from.path it trains from scratch: the line
to compare with. MAE's recipe for a small ViT: layer decay 0.75, mild mixing.

Size: 0.158 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=64,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="supervised.finetune",
    size=32,
    classes=10,
    dims=dict(variant="Ti/4", width=64, depth=3, heads=2),
    mixing=dict(mixup=0.2, cutmix=0.0),
    drop_path=0.05,
  )
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.05, layer_decay=0.75)
  config.schedule.update(warmup_share=0.1, min_lr=1e-6)
  config.train.update(total_steps=arg.steps, checkpoint_steps=250, log_steps=50)
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_steps=250)
  )
  return config
