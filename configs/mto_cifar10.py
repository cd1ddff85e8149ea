"""MTO on CIFAR-10: SimMIM or MAE with masked tokens kept apart.

    python -m jmim.main --config=configs/mto_cifar10.py:host=simmim \
      --config.data.data_dir=DIR --workdir=runs/mto
    ... --config=configs/mto_cifar10.py:host=mae,on=False     MAE as it is

Arguments: host=simmim (mae), on=True (False: the host, bit for bit, with the
same outputs), steps=400.

THE EQUATIONS ARE NOT THE PAPER'S (docstring of mim.mto): nothing measured here
speaks for or against it. `singularity/heterogeneity_00` .. and `entropy_00` ..
are of the layers of the encoder (SimMIM) or of the decoder (MAE), the last
number that of the output. Measured by `python -m jmim.tools.claim mto`, on and
off: k-NN 29.8 and 28.1 %, loss 0.631 and 0.614, entropy of the last block 0.68
and 0.85.

Size: 0.807 M parameters.
Time: not measured.
Expect: k-NN 29.8 %, loss 0.631; without MTO 28.1 %, 0.614.
"""

from jmim.core import choices
from jmim.core import config as configs

HOSTS = {
  "simmim": dict(
    type="mim.mto",
    backbone=dict(variant="Ti/4", width=128, depths=(4,), heads=(4,)),
    square=8,
    mask_ratio=0.6,
  ),
  "mae": dict(
    type="mim.mto_mae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    decoder_dims=dict(width=48, depth=2, heads=4),
  ),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, host="simmim", on=True, steps=400)
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
  tokens = dict(warmup_steps=arg.steps // 20)
  if not arg.on:
    off = dict.fromkeys(("lambda_spa", "lambda_e", "lambda_r"), 0.0)
    tokens = dict(recalibrate=False, **off)
  choices.check(arg, host=HOSTS)
  config.method = configs.section(size=32, tokens=tokens, **HOSTS[arg.host])
  config.optim.update(
    name="adamw", lr=1e-3, b2=0.999, weight_decay=0.05, clip_norm=5.0
  )
  config.schedule.update(name="cosine", warmup_share=0.1)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=20)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=100, limit=2048),
    knn=configs.section(
      type="knn", every_steps=100, train_limit=10000, limit=2000, k=(20,)
    ),
    singularity=configs.section(type="mean", predict="singularity", limit=2048),
    recon=configs.section(type="recon", batches=4),
  )
  return config
