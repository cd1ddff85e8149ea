"""CRATE-MAE on CIFAR-10: the small runs of the method's card.

    python -m jmim.main --config=configs/crate_mae_cifar10.py --workdir=W \
      --config.data.data_dir=DIR
    ... --config=configs/crate_mae_cifar10.py:blocks=vit

Arguments: blocks=crate | vit (the same pipeline on blocks of a ViT), steps=1500
(`python -m jmim.tools.claim crate_mae` has 500 too), norm_pix=True. Measured:
loss 0.702, probe 38.4 % (untrained 33.3 %); after 500 steps 0.784 (on blocks of
a ViT 0.703) and 32.9 %.

Size: 0.235 M parameters.
Time: not measured.
Expect: loss 0.702, probe 38.4 % (untrained 33.3 %).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, blocks="crate", steps=1500, norm_pix=True)
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=128,
    size=32,
    device_crop="pad",
    pad=4,
    flip=True,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
  )
  config.method = configs.section(
    type="mim.crate_mae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=32,
    decoder_dims=dict(width=0, depth=4, heads=0),
    blocks=dict(type=arg.blocks),
    mask_ratio=0.75,
    norm_pix=arg.norm_pix,
  )
  config.optim.update(name="adamw", lr=1.5e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_share=0.1)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=2048),
    probe=configs.section(type="probe", train_limit=8000, limit=2000),
    introspect=configs.section(type="introspect"),
    recon=configs.section(type="recon", batches=4),
  )
  if arg.blocks == "crate":
    for name in ("rate", "nonzero"):
      config.evals[name] = configs.section(
        type="mean", predict=name, limit=1024, every_steps=500
      )
  return config
