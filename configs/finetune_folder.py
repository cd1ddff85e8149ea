"""A classifier of your own images, from what mae_folder has learnt.

    jmim --config=finetune_folder --config.data.data_dir=IMAGES \
      --config.init_from.path=runs/mine --workdir=runs/mine_ft

IMAGES holds a folder per class, which are counted. A tenth of the images is
held out to test on. Without init_from.path it trains from scratch.

Arguments: size=224, variant=S/16 (those of the run that it starts from),
epochs=100, batch=256.

Size: 22.1 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, size=224, variant="S/16", epochs=100.0, batch=256
  )
  config = configs.base()
  config.data.update(
    name="folder",
    eval_share=0.1,
    follow_labels=True,
    batch=arg.batch,
    size=arg.size,
    host_crop="resized",
    crop_scale=(0.2, 1.0),
    flip=True,
    eval_crop="center",
  )
  config.method = configs.section(
    type="supervised.finetune",
    size=arg.size,
    dims=dict(variant=arg.variant),
    mixing=dict(mixup=0.8, cutmix=1.0, smoothing=0.1),
    drop_path=0.1,
  )
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(
    lr=5e-4, lr_batch=256, b2=0.999, weight_decay=0.05, layer_decay=0.75
  )
  config.schedule.update(warmup_share=0.05, min_lr=1e-6)
  config.train.update(
    total_epochs=arg.epochs, checkpoint_epochs=arg.epochs / 20, log_steps=20
  )
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_epochs=arg.epochs / 20)
  )
  return config
