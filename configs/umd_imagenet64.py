"""UMD, and MAE, DiT and MaskDiT beside it, on ImageNet at 64 x 64.

Data: TFDS `imagenet2012` as ArrayRecord in --config.data.data_dir.

    python -m jmim.main --config=configs/umd_imagenet64.py --workdir=DIR \
      --config.data.data_dir=DIR
    ... --config=configs/umd_imagenet64.py:kind=maskdit

Arguments: kind=umd (mae, dit, maskdit), variant=B/4, epochs=800, batch=1024.

Reference (the authors'; this repository has not repeated them; 100-shot linear
probe % / FID after 50 more epochs with labels): UMD 31.8 / 19.8, MAE 36.6 /
26.8, DiT 25.6 / 18.9, MaskDiT 26.3 / 19.0. 800 epochs are 0.99 M steps.

Size: 174 M parameters.
Time: not measured.
Expect: the authors' 100-shot probe of UMD, not repeated: 31.8 %.
"""

from jmim.core import choices
from jmim.core import config as configs

# Share of clean images, share of patches hidden in noised ones, probe time.
KINDS = {
  "umd": (0.5, 0.375, 0),
  "mae": (1.0, 0.375, 0),
  "dit": (0.0, 0.0, 51),
  "maskdit": (0.0, 0.5, 51),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, kind="umd", variant="B/4", epochs=800.0, batch=1024
  )
  choices.check(arg, kind=KINDS)
  clean, hidden, probe = KINDS[arg.kind]
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    train_split="train[:99%]",
    eval_split="train[99%:]",
    batch=arg.batch,
    size=64,
    host_crop="resized",
    crop_scale=(0.8, 1.0),
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
    clean_share=clean,
    clean_mask=0.75,
    noised_mask=hidden,
    probe_time=probe,
  )
  config.optim.update(
    lr=1.5e-4, lr_batch=256, b2=0.95, weight_decay=0.05, clip_norm=1.0
  )
  config.schedule.update(name="cosine", warmup_epochs=arg.epochs / 20)
  config.train.update(
    total_epochs=arg.epochs, checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_epochs=10.0, limit=8192),
    knn=configs.section(
      type="knn",
      every_epochs=50.0,
      train_limit=100_000,
      limit=10_000,
      reference=False,
    ),
    samples=configs.section(type="samples", every_epochs=20.0),
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
