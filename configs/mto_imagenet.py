"""MTO pre-training on ImageNet-1k, as the method's card has it.

    python -m jmim.main --config=configs/mto_imagenet.py:host=mae \
      --config.data.data_dir=DIR --workdir=WORKDIR

Arguments: host=simmim (mae), variant=B/16 | L/16, epochs=400, batch=2048.

What is to be reached (abstract; nobody has run this): the fine-tuned accuracy
of the host after twice the epochs, 83.8 for SimMIM B/16 (800). THE EQUATIONS
ARE NOT THE PAPER'S (docstring of mim.mto), single figures of it are not known.
Everything but `method.tokens` is the host's recipe; the rates of SimMIM are for
batch 2048, of MAE per 256 images.

Size: 86.3 M parameters.
Time: not measured.
Expect: the host's accuracy after twice its epochs (abstract; not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs

IMAGES = 1_281_167
HOSTS = {
  "simmim": dict(type="mim.mto", square=32, mask_ratio=0.6, drop_path=0.1),
  "mae": dict(
    type="mim.mto_mae", decoder_dims=dict(width=512, depth=8, heads=16)
  ),
}
DIMS = {"simmim": "backbone", "mae": "dims"}
OPTIM = {
  "simmim": dict(lr=1e-4, lr_batch=2048, b2=0.999, clip_norm=5.0),
  "mae": dict(lr=1.5e-4, lr_batch=256, b2=0.95),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, host="simmim", variant="B/16", epochs=400, batch=2048
  )
  choices.at_least(arg, batch=1)
  choices.check(arg, host=HOSTS)
  simmim = arg.host == "simmim"
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=224,
    host_crop="resized",
    crop_scale=(0.67 if simmim else 0.2, 1.0),
    flip=True,
    eval_crop="center",
    eval_resize=256,
  )
  warmup = arg.epochs * IMAGES // arg.batch // 20  # 5 % of the steps
  dims = {DIMS[arg.host]: dict(variant=arg.variant)}
  config.method = configs.section(
    size=224, tokens=dict(warmup_steps=warmup), **HOSTS[arg.host], **dims
  )
  config.optim.update(name="adamw", weight_decay=0.05, **OPTIM[arg.host])
  config.schedule.update(
    name="step" if simmim else "cosine",
    warmup_epochs=10.0 if simmim else 40.0,
    min_lr=1e-5 if simmim else 0.0,
    start_lr=5e-7 if simmim else 0.0,
    drop_epochs=arg.epochs * 7 / 8,
  )
  config.train.update(
    total_epochs=float(arg.epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.evals.loss = configs.section(
    type="loss", every_epochs=5.0, limit=2 * arg.batch
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
