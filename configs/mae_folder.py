"""MAE on a folder of your own images, of any sizes.

    jmim --config=mae_folder --config.data.data_dir=IMAGES --workdir=runs/mine
    jmim --config=mae_folder:size=96,variant=S/8,steps=10000 ...

IMAGES holds images, or a folder per class; labels are not trained on, they only
allow the probe at the end. A tenth of the images is held out for it.

Arguments: size=64 (side in pixels, a multiple of the patch), variant=Ti/8 (Ti,
S, B, L with /4, /8, /14, /16), batch=64, steps=3000, lr=1e-3 (the peak),
norm_pix=True, epochs=0 (more: in place of steps).

The defaults are for some hundred or thousand images: what is learnt follows
lr * steps, and few images make few steps an epoch. 100,000 and more, as in the
paper: size=224,variant=B/16,batch=1024,epochs=300,lr=6e-4 and its decoder,
--config.method.decoder_dims.width=512, .depth=8, .heads=16.

Size: 5.82 M parameters.
Time: 70 minutes on two busy CPU cores, by the speed of 60 steps.
Expect: not measured at these sizes; colab/07, 32 pixels, four drawn shapes:
probe 78.3 % (untrained 58.3 %, pixels 53.3 %).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    size=64,
    variant="Ti/8",
    batch=64,
    steps=3000,
    lr=1e-3,
    norm_pix=True,
    epochs=0.0,
  )
  unit, length = ("epochs", arg.epochs) if arg.epochs else ("steps", arg.steps)
  # A tenth of the run; whole steps, of which there is at least one.
  tenth = length / 10 if arg.epochs else max(1, length // 10)
  every = {f"every_{unit}": tenth}
  config = configs.base()
  config.data.update(
    name="folder",
    eval_share=0.1,
    follow_labels=True,
    batch=arg.batch,
    size=arg.size,
    host_crop="resized",
    crop_scale=(0.4, 1.0),
    flip=True,
    eval_crop="center",
  )
  config.method = configs.section(
    type="mim.mae",
    dims=dict(variant=arg.variant),
    size=arg.size,
    decoder_dims=dict(width=128, depth=2, heads=4),
    mask_ratio=0.75,
    norm_pix=arg.norm_pix,
  )
  config.optim.update(lr=arg.lr, b2=0.95, weight_decay=0.05, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_share=0.1)
  config.train.update({f"total_{unit}": length, f"checkpoint_{unit}": tenth})
  config.train.log_steps = 20
  config.evals = configs.section(
    loss=configs.section(type="loss", **every),
    recon=configs.section(type="recon", **every),
    probe=configs.section(type="probe", train_limit=20_000),
  )
  return config
