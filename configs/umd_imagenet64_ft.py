"""Class-conditional fine-tuning of UMD (MAE, DiT, MaskDiT) at 64 x 64.

    python -m jmim.main --config=configs/umd_imagenet64_ft.py --workdir=DIR \
      --config.init_from.path=RUN --config.data.data_dir=DATA

RUN is a run of umd_imagenet64 of the same kind and variant. Arguments:
kind=umd (mae, dit, maskdit), variant=B/4, epochs=50, batch=256.

Reference (the authors'; not repeated here; FID / IS): UMD 19.8 / 46.9, MAE 26.8
/ 18.5, DiT 18.9 / 46.9, MaskDiT 19.0 / 43.4. 50 epochs are 248 k steps.

Size: 177 M parameters.
Time: not measured.
Expect: the authors' FID of UMD, not repeated: 19.8.
"""

from jmim.core import choices
from jmim.core import config as configs

SHARES = {"umd": 0.05, "mae": 0.05, "dit": 0.0, "maskdit": 0.0}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, kind="umd", variant="B/4", epochs=50.0, batch=256
  )
  choices.check(arg, kind=SHARES)
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    train_split="train[:99%]",
    eval_split="train[99%:]",
    batch=arg.batch,
    size=64,
    host_crop="resized",
    crop_scale=(0.95, 1.0),
    eval_crop="center",
    eval_resize=66,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant=arg.variant),
    size=64,
    decoder_depth=4,
    labels=configs.section(classes=1000),
    clean_share=SHARES[arg.kind],
    clean_mask=0.75,
    noised_mask=0.0,
    sampling=configs.section(guidance=1.5, steps=125),
  )
  config.init_from.reinit = ("/label_",)  # its table and the layers after it
  config.optim.update(
    lr=1.5e-4, lr_batch=256, b2=0.999, weight_decay=0.0, clip_norm=1.0
  )
  config.schedule.update(name="cosine", warmup_epochs=arg.epochs / 25)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_epochs=arg.epochs, checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_epochs=10.0, limit=8192),
    samples=configs.section(type="samples", weights="ema", every_epochs=10.0),
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
