"""MAE on a folder of your own images, of any sizes.

    jmim --config=mae_folder --config.data.data_dir=IMAGES --workdir=runs/mine
    jmim --config=mae_folder:size=96,variant=S/8,epochs=400 ...

IMAGES holds images, or a folder per class; labels are not trained on, they only
allow the probe at the end. A tenth of the images is held out for it.

Arguments: size=224 (side in pixels, a multiple of the patch), variant=S/16
(Ti, S, B, L with /4, /8, /14, /16), epochs=300, batch=256. Few images want more
epochs, not fewer: count steps, some 10,000 at least.

Size: 25 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, size=224, variant="S/16", epochs=300.0, batch=256
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
    type="mim.mae",
    dims=dict(variant=arg.variant),
    size=arg.size,
    decoder_dims=dict(width=256, depth=4, heads=8),
    mask_ratio=0.75,
    norm_pix=True,
  )
  config.optim.update(lr=1.5e-4, lr_batch=256, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_share=0.05)
  config.train.update(
    total_epochs=arg.epochs, checkpoint_epochs=arg.epochs / 20, log_steps=20
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_epochs=arg.epochs / 20),
    recon=configs.section(type="recon", every_epochs=arg.epochs / 10),
    probe=configs.section(type="probe", train_limit=20_000),
  )
  return config
