"""MAE on frames of MVImgNet, 160 x 90: stage A of NViST.

Data: that of `configs/nvist_mvimgnet.py`, its frames one by one. It begins with
ImageNet's ViT-B where shapes agree (a run of `mae_imagenet`, or its published
weights, docs/weights.md):

    python -m jmim.main --config=configs/mae_mvimgnet.py:vit=V --workdir=A \
      --config.data.data_dir=DIR

Arguments: vit= (none: from scratch), steps=30000, batch=84.

Size: 111 M parameters.
Time: not measured.
Expect: no published figure.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, vit="", steps=30_000, batch=84)
  config = configs.base()
  sides = dict(height=160, size=90)
  config.data.update(name="mvimgnet", batch=arg.batch, flip=False, **sides)
  config.method = configs.section(
    type="mim.mae",
    dims=configs.section(variant="B/5"),
    decoder_dims=configs.section(width=512, depth=8, heads=16),
    norm_pix=False,  # pixels as they are
    **sides,
  )
  if arg.vit:
    # Patches have another side there.
    others = (r"^main/encoder/patch_embed/", r"^main/decoder/pred/")
    config.init_from.update(path=arg.vit, skip=others, reinit=others)
  config.optim.update(lr=1e-4, b1=0.9, b2=0.999, weight_decay=0.01)
  config.schedule.update(warmup_steps=1000, min_lr=1e-6)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", limit=2048, every_steps=5000),
    recon=configs.section(type="recon", batches=1, every_steps=5000),
  )
  return config
