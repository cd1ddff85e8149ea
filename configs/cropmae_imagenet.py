"""CropMAE pre-training on ImageNet-1k, the recipe of the paper.

    python -m jmim.main --config=configs/cropmae_imagenet.py \
      --config.data.data_dir=DIR --workdir=WORKDIR

Arguments: variant=S/16 | B/16 | L/16, epochs=400, batch=2048.

Reference (authors; not repeated here): ViT-S/16, 400 epochs: DAVIS J&F 60.4,
VIP 33.3, JHMDB 43.6.

Size: 28.2 M parameters.
Time: not measured.
Expect: the authors' J&F on DAVIS of S/16, not repeated: 60.4.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="S/16", epochs=400, batch=2048)
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=224,
    views=2,
    nested=True,
    crop_scale=(0.1, 1.0),
    view_scale=(0.3, 0.6),
    crop_ratio=(3 / 4, 4 / 3),
    kernel="bilinear",
    flip=True,
  )
  config.method = configs.section(
    type="mim.cropmae",
    dims=dict(variant=arg.variant),
    size=224,
    decoder_dims=dict(width=256, depth=4, heads=8),
    dropout=0.1,
    mask_ratio=0.985,
    norm_pix=True,
  )
  config.optim.update(
    name="adamw", lr=1e-4, lr_batch=256, b1=0.9, b2=0.95, weight_decay=0.05
  )
  config.schedule.update(name="cosine", warmup_epochs=0.05 * arg.epochs)
  config.train.update(
    total_epochs=float(arg.epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_epochs=5.0, limit=2 * arg.batch)
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
