"""MAR on the latents of ImageNet at 256 x 256, after the paper's table.

Data: `imagenet256_kl16`, moments 16 x 16 x 32 of a KL autoencoder of factor 16
(centre crops, two views that are flipped or not), made once:

    python -m jmim.tools.cache_latents --workdir=runs/kl16 --views=2 \
      --config=configs/autoencoder_kl_imagenet.py:variant=kl-f16 \
      --config.data.host_crop=center --name=imagenet256_kl16 --out=DIR \
      --config.data.data_dir=IMAGES
    python -m jmim.main --config=configs/mar_imagenet256.py --workdir=W \
      --config.data.data_dir=DIR --config.method.first_stage.path=runs/kl16
    python -m jmim.main --mode=sample ... --num=50000 --steps=256 \
      --guidance=3.0 --weights=ema

Arguments: size=L (B, H), epochs=400 (800), batch=2048, head=train (3 x 1024;
final: the larger heads of the paper's table, B 6 x 1024, L 8 x 1280, H 12 x
1536). An epoch is one over the images: with two views, half of the data set.

Reference (the authors'; not repeated here; FID / IS, 800 epochs, larger heads,
guidance 2.9, 3.0, 3.2): B 2.31 / 281.7, L 1.78 / 296.0, H 1.55 / 303.7. Without
first_stage.path it trains, but does not sample.

Size: 426 M parameters.
Time: not measured.
Expect: the authors' FID of L, 800 epochs, not repeated: 1.78.
"""

from jmim.core import choices
from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]
BLOCKS = {
  "B": dict(width=768, depth=12, heads=12),
  "L": dict(width=1024, depth=16, heads=16),
  "H": dict(width=1280, depth=20, heads=16),
}
HEADS = {
  "B": dict(depth=6, width=1024),
  "L": dict(depth=8, width=1280),
  "H": dict(depth=12, width=1536),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, size="L", epochs=400, batch=2048, head="train")
  choices.check(arg, size=BLOCKS, head=("train", "final"))
  config = configs.base()
  config.data.update(
    name="imagenet256_kl16",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  usual = dict(depth=3, width=1024)
  head = HEADS[arg.size] if arg.head == "final" else usual
  config.method = configs.section(
    type="latent.mar",
    network=configs.section(encoder=BLOCKS[arg.size], decoder=BLOCKS[arg.size]),
    labels=configs.section(classes=1000),
    head=configs.section(**head),
  )
  config.optim.update(
    lr=1e-4, lr_batch=256, b2=0.95, weight_decay=0.02, clip_norm=3.0
  )
  config.schedule.update(name="constant", warmup_images=100 * IMAGES)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_images=arg.epochs * IMAGES, checkpoint_steps=5000, log_steps=50
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=5000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
