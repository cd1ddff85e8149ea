"""AutoencoderKL on the scattered digits: factor 4, 3 channels (card `ldm`).

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=W

Arguments: steps=800, disc_start=400, perceptual= (a run of convnet_digits).

The critic plays in the second half. The card asks for one to two minutes of
training. With `method.losses.perceptual=small` of the claim `ldm`: PSNR
26.5 dB.

Size: 2.74 M parameters.
Time: one to two minutes (the card's wish; not measured).
Expect: PSNR 26.5 dB with a perceptual loss.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=800, disc_start=400, perceptual="")
  config = configs.base()
  config.data.update(
    name="digits/scattered",
    batch=16,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.autoencoder_kl",
    dims=configs.section(variant="kl-f4", width=32, blocks=1),
    size=32,
    losses=configs.section(
      disc_start=arg.disc_start,
      disc_layers=2,
      disc_width=16,
      disc_weight=0.1,
      perceptual="small" if arg.perceptual else "none",
      perceptual_path=arg.perceptual,
      perceptual_width=16,
    ),
  )
  config.optim.update(lr=5e-4, b1=0.5, b2=0.9, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=20)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=512),
    restoration=configs.section(type="restoration", limit=512),
  )
  return config
