"""LMD on the latents of scattered digits: 16 patches of 8 x 8 x 3 latents.

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=AE
    python -m jmim.main --config=configs/lmd_digits.py:autoencoder=AE \
      --workdir=W

Images are encoded in every step by the frozen autoencoder of the first run.
Arguments: autoencoder= (its run), steps=1200, schedule=cosine (piecewise,
linear, fixed: MAE's single ratio). Compare `errors/masked`, the error of hidden
latents with three quarters hidden: the loss in training is that of the ratio of
its step. `python -m jmim.tools.claim lmd` compares schedules: 0.615 with the
cosine, 0.637 with the fixed ratio. Neither beats the probe of the untrained
encoder (24.6 and 21.0 %, 26.6 %). The paper's numbers are not known.

Size: 0.306 M parameters.
Time: not measured.
Expect: error of hidden latents 0.615 (claim lmd).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, autoencoder="", steps=1200, schedule="cosine")
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=64,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="mim.lmd",
    size=8,
    channels=3,
    dims=dict(variant="Ti/2", width=64, depth=4, heads=4),
    decoder_dims=dict(width=64, depth=2, heads=4),
    mask_ratio=0.75,
    curriculum=dict(name=arg.schedule, steps=arg.steps),
    first_stage=dict(
      read="images", variant="kl-f4", width=32, blocks=1, path=arg.autoencoder
    ),
  )
  config.optim.update(
    name="adan", lr=2e-3, b1=0.98, b2=0.92, b3=0.9, clip_norm=10.0
  )
  config.schedule.update(warmup_share=1 / 12, min_lr=1e-8)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=2048, every_steps=400),
    recon=configs.section(type="recon", batches=4),
    probe=configs.section(
      type="probe", predict="tokens", penalty=100.0, train_limit=4000
    ),
  )
  return config
