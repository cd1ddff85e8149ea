"""UMD on the latents of the scattered digits, with labels: latents in small.

    python -m jmim.main --config=configs/autoencoder_kl_digits.py --workdir=AE
    python -m jmim.tools.cache_latents --workdir=AE --name=digits_latents \
      --config=configs/autoencoder_kl_digits.py --out=DIR
    python -m jmim.main --config=configs/latent_umd_digits.py:autoencoder=AE \
      --workdir=W --config.data.data_dir=DIR --config.method.first_stage.scale=S

S is printed by the second command. Arguments: autoencoder= (its run),
steps=1500, masked=True (False: a DiT split in two). Measured, with the first
stage of `claim ldm` (S 0.413), on 800 test images: squared error of the noise
0.173, of hidden latents 0.476 (their variance is 1).

Size: 0.497 M parameters.
Time: not measured.
Expect: squared error of the noise 0.173, of hidden latents 0.476.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, autoencoder="", steps=1500, masked=True)
  config = configs.base()
  config.data.update(
    name="digits_latents",
    eval_split="test",
    batch=64,
    size=32,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant="Ti/2", width=64, depth=4, heads=4),
    size=8,
    channels=3,
    decoder_depth=2,
    labels=configs.section(classes=10),
    sampling=configs.section(clip=0.0, guidance=2.0),
    noise=configs.section(schedule="linear"),
    first_stage=configs.section(
      variant="kl-f4", width=32, blocks=1, path=arg.autoencoder, scale=1.0
    ),
    clean_share=0.5 * arg.masked,
    noised_mask=0.375 * arg.masked,
  )
  config.optim.update(lr=2e-3, b2=0.95, weight_decay=0.05, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_share=0.05)
  config.ema.decay = 0.999
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean"),
    samples=configs.section(type="samples", weights="ema"),
  )
  if not arg.autoencoder:  # no way back to images
    del config.evals["samples"]
  return config
