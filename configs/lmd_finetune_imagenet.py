"""LMD fine-tuning on the latents of ImageNet-1k, after configs/lmd_imagenet.py.

    python -m jmim.main --config=configs/lmd_finetune_imagenet.py --workdir=W \
      --config.data.data_dir=DIR --config.init_from.path=PRETRAINED

Data: `imagenet224_latents`, see lmd_imagenet (more views, crop=0.08 and
`data.randaugment` there are closer to MAE's fine-tuning). Arguments:
variant=B/4 (B/7), epochs=100, batch=1024, pool=mean (cls).

The script's optimizer and mixing, at its base rate per 256; its epochs are
blank (README: 100), its batch 64. Its random erasing acts on images, and cached
latents have none. Accuracies are not known: those in the authors' README are
MAE's. Nothing was trained here.

Size: 85.9 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="B/4", epochs=100, batch=1024, pool="mean"
  )
  config = configs.base()
  config.data.update(
    name="imagenet224_latents",
    eval_split="test",
    batch=arg.batch,
    size=224,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="supervised.latent_finetune",
    classes=1000,
    dims=dict(variant=arg.variant),
    mixing=dict(mixup=0.8, cutmix=1.0, smoothing=0.1),
    drop_path=0.1,
    pool=arg.pool,
    first_stage=dict(variant="kl-f8"),
  )
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(
    name="adan", lr=1e-3, lr_batch=256, weight_decay=0.05, layer_decay=0.65
  )
  config.optim.update(b1=0.98, b2=0.92, b3=0.99)
  config.schedule.update(warmup_images=5 * IMAGES, min_lr=1e-6)
  config.train.update(
    total_images=arg.epochs * IMAGES, checkpoint_images=IMAGES, log_steps=100
  )
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_images=IMAGES)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
