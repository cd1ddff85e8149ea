"""A classifier of your own images, from what mae_folder has learnt.

    jmim --config=finetune_folder --config.data.data_dir=IMAGES \
      --config.init_from.path=runs/mine --workdir=runs/mine_ft

IMAGES holds a folder per class, which are counted. A tenth of the images is
held out to test on. Without init_from.path it trains from scratch.

Arguments: size=64, variant=Ti/8 (those of the run that it starts from),
batch=64, steps=1500, lr=1e-3 (the peak), mixup=0, cutmix=0, epochs=0 (more: in
place of steps).

The defaults are for some hundred or thousand images. 100,000 and more, as in
the paper: size=224,variant=B/16,batch=1024,epochs=100,lr=2e-3,mixup=0.8,
cutmix=1 in one line, with --config.optim.layer_decay=0.65 and
--config.method.drop_path=0.1.

Size: 5.58 M parameters.
Time: 100 minutes on two busy CPU cores, by the speed of 60 steps.
Expect: not measured at these sizes; colab/07, 32 pixels, four drawn shapes:
top-1 96.7 % of 60 images held out (chance 25 %).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    size=64,
    variant="Ti/8",
    batch=64,
    steps=1500,
    lr=1e-3,
    mixup=0.0,
    cutmix=0.0,
    epochs=0.0,
  )
  unit, length = ("epochs", arg.epochs) if arg.epochs else ("steps", arg.steps)
  # A tenth of the run; whole steps, of which there is at least one.
  tenth = length / 10 if arg.epochs else max(1, length // 10)
  config = configs.base()
  config.data.update(
    name="folder",
    eval_share=0.1,
    follow_labels=True,
    batch=arg.batch,
    size=arg.size,
    host_crop="resized",
    crop_scale=(0.5, 1.0),
    flip=True,
    eval_crop="center",
  )
  config.method = configs.section(
    type="supervised.finetune",
    size=arg.size,
    dims=dict(variant=arg.variant),
    mixing=dict(mixup=arg.mixup, cutmix=arg.cutmix, smoothing=0.1),
    drop_path=0.0,
  )
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(
    lr=arg.lr, b2=0.999, weight_decay=0.05, layer_decay=0.85, clip_norm=1.0
  )
  config.schedule.update(warmup_share=0.1, min_lr=1e-6)
  config.train.update({f"total_{unit}": length, f"checkpoint_{unit}": tenth})
  config.train.log_steps = 20
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", **{f"every_{unit}": tenth})
  )
  return config
