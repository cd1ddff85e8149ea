"""AutoencoderKL at 256 x 256, after the paper's table, on ImageNet.

(The authors trained on OpenImages: --config.data.name=..., or `folder`.)
Data: TFDS `imagenet2012` as ArrayRecord in --config.data.data_dir.

    python -m jmim.main --config=configs/autoencoder_kl_imagenet.py \
      --workdir=DIR --config.data.data_dir=DATA \
      --config.method.losses.perceptual_path=VGG.npz

VGG.npz: VGG16's and LPIPS' weights under torchvision's names ("features.0.
weight", ..., "lin4.model.1.weight"). Published weights instead of training:
`python -m jmim.convert --from=diffusers_vae` (or ldm_first_stage).

Arguments: variant=kl-f8 (kl-f4, kl-f16, kl-f32), steps=250000, batch=96,
crop=0.2 (least area of the crops).

Reference (the authors'; not repeated here; rFID on OpenImages): f4 0.27, f8
0.90, f16 0.87, f32 2.04.

Size: 86.4 M parameters.
Time: not measured.
Expect: the authors' rFID on OpenImages, not repeated: f4 0.27, f8 0.90.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="kl-f8", steps=250_000, batch=96, crop=0.2
  )
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    train_split="train[:99%]",
    eval_split="train[99%:]",
    batch=arg.batch,
    size=256,
    host_crop="resized",
    crop_scale=(arg.crop, 1.0),
    eval_crop="center",
    eval_resize=266,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="latent.autoencoder_kl",
    dims=configs.section(variant=arg.variant),
    size=256,
    losses=configs.section(
      perceptual="vgg", disc_start=50_001, disc_weight=0.5
    ),
  )
  # 4.5e-6 times the batch, for both players.
  config.optim.update(
    lr=4.5e-6, lr_batch=1, b1=0.5, b2=0.9, weight_decay=0.0, clip_norm=0.0
  )
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    restoration=configs.section(
      type="restoration", every_steps=10_000, limit=2048
    )
  )
  config.hardware.data_threads = 16
  return config
