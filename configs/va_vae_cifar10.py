"""VA-VAE on CIFAR-10: 8 x 8 latents of 16 channels, a small ViT's features.

    python -m jmim.main --config=configs/teacher_cifar10.py:steps=780 \
      --config.data.data_dir=DIR --workdir=runs/teacher
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/va_vae_cifar10.py:teacher=runs/teacher

Then lightningdit_cifar10 on its latents. Arguments: teacher= (a run of
teacher_cifar10), weight=0.1 (of the alignment; 0: a plain autoencoder, whose
cosines to the vision model are those of an untrained map), steps=800,
disc_start=600.

Not yet measured here: `python -m jmim.tools.claim va_vae` compares weights.

Size: 2.79 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, teacher="", weight=0.1, steps=800, disc_start=600
  )
  config = configs.base()
  config.data.update(
    name="cifar10",
    batch=32,
    size=32,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.va_vae",
    dims=dict(variant="kl-f4-z16", width=16, blocks=1),
    size=32,
    losses=dict(
      disc_start=arg.disc_start,
      disc_layers=2,
      disc_width=16,
      disc_weight=0.1,
    ),
    teacher=dict(
      family="dino",
      dims=dict(variant="Ti/4", width=128, depth=4, heads=4),
      table_size=0,
      norm=False,  # that of a classifier with mean pooling is in its head
      path=arg.teacher,
      mean=(0.4914, 0.4822, 0.4465),
      std=(0.2470, 0.2435, 0.2616),
    ),
    alignment=dict(weight=arg.weight),
  )
  config.optim.update(lr=5e-4, b1=0.5, b2=0.9, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=20)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=1000),
    restoration=configs.section(type="restoration", limit=1000),
    probe=configs.section(
      type="probe",
      predict="latents",
      train_limit=8000,
      limit=2000,
      reference=False,
    ),
  )
  return config
