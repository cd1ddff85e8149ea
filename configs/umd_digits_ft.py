"""Labels for a UMD of the plain digits: umd_imagenet64_ft in small.

    python -m jmim.main --config=configs/umd_digits_ft.py --workdir=W \
      --config.init_from.path=runs/umd
    python -m jmim.main --mode=sample --config=configs/umd_digits_ft.py \
      --workdir=W --num=100 --guidance=2 --weights=ema

`runs/umd`: a run of umd_digits. Arguments: steps=500. Not yet measured here.

Size: 0.495 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=500)
  config = configs.base()
  config.data.update(
    name="digits/plain",
    batch=128,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant="Ti/2", width=64, depth=4, heads=4),
    size=8,
    channels=1,
    decoder_depth=2,
    labels=configs.section(classes=10),
    clean_share=0.05,
    clean_mask=0.75,
    noised_mask=0.0,
    sampling=configs.section(guidance=2.0),
  )
  config.init_from.reinit = ("/label_",)  # its table and the layers after it
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_share=0.04)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean"),
    samples=configs.section(type="samples", weights="ema"),
  )
  return config
