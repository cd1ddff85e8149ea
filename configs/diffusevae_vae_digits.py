"""The VAE of DiffuseVAE on the plain 8 x 8 digits: a code of 16 numbers.

    python -m jmim.main --config=configs/diffusevae_vae_digits.py --workdir=V
    python -m jmim.tools.fit_codes --config=configs/diffusevae_vae_digits.py \
      --workdir=V --out=prior.npz --components=3

Then configs/diffusevae_digits.py. Arguments: steps=4000, alpha=0.02. An image
has 64 numbers where one of CIFAR-10 has 3072, and the squared error is a sum:
with alpha=1 the divergence outweighs it and every code stays empty (3e-5 nats
after 1500 steps), so alpha is about 64 / 3072. Here, codes begin to tell images
apart after some 1200 steps.

Size: 0.0706 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=4000, alpha=0.02)
  config = configs.base()
  config.data.update(
    name="digits/plain",
    batch=64,
    size=8,
    channels=1,
    flip=False,
    mean=(0.0,),
    std=(1.0,),
  )
  widths = "8:32,4:64,1:16"
  config.method = configs.section(
    type="latent.diffusevae_vae",
    size=8,
    channels=1,
    alpha=arg.alpha,
    dims=configs.section(
      encoder="8x1,8d2,8t4,4d4,4t1,1x1",
      encoder_widths=widths,
      decoder="1x1,1u4,1t4,4x1,4u2,4t8,8x1",
      decoder_widths=widths,
    ),
  )
  config.optim.update(lr=2e-3, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=1000),
    restoration=configs.section(type="restoration", limit=256),
  )
  return config
