"""SimMIM pre-training on ImageNet-1k, the recipes of the paper.

    python -m jmim.main --config=configs/simmim_imagenet.py:variant=SwinB/4 \
      --config.data.data_dir=DIR --workdir=WORKDIR

Arguments: variant=B/16 (224 pixels) | SwinB/4 | SwinL/4 (192 pixels),
epochs=800, batch=2048.

Reference (authors; not repeated here; fine-tuned): ViT-B 83.8 (800 epochs),
Swin-B 82.8 at 192 pixels and 83.5 at 224 (100), 84.0 (800), Swin-L 85.4.
Rates are for batch 2048: Swin-B of 100 epochs 2e-4, cosine to 1e-5; the others
1e-4, a tenth of it from epoch 700 of 800.

Size: 86.3 M parameters.
Time: not measured.
Expect: the authors' fine-tuned top-1 of ViT-B, not repeated: 83.8 %.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, variant="B/16", epochs=800, batch=2048)
  swin, short = arg.variant.startswith("Swin"), arg.epochs <= 100
  size = 192 if swin else 224
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=size,
    host_crop="resized",
    crop_scale=(0.67, 1.0),
    flip=True,
    eval_crop="center",
    eval_resize=size * 256 // 224,
  )
  config.method = configs.section(
    type="mim.simmim",
    backbone=dict(variant=arg.variant),
    size=size,
    square=32,
    mask_ratio=0.6,
    drop_path=0.0 if swin else 0.1,
  )
  config.optim.update(
    name="adamw",
    lr=2e-4 if short else 1e-4,
    lr_batch=2048,
    b1=0.9,
    b2=0.999,
    weight_decay=0.05,
    clip_norm=5.0,
  )
  config.schedule.update(
    name="cosine" if short else "step",
    warmup_epochs=10.0,
    min_lr=1e-5,
    start_lr=1e-6 if short else 5e-7,
    drop_epochs=arg.epochs * 7 / 8,
  )
  config.train.update(
    total_epochs=float(arg.epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_epochs=5.0, limit=2 * arg.batch),
    recon=configs.section(type="recon", every_epochs=20.0),
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
