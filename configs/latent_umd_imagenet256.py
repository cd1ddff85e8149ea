"""UMD on the latents of ImageNet at 256 x 256: pre-training and fine-tuning.

Data: `imagenet256_latents` with four augmented views, see dit_imagenet256:

    python -m jmim.tools.cache_latents --workdir=runs/vae --views=4 \
      --config=configs/autoencoder_kl_imagenet.py:crop=0.8 --out=DIR \
      --name=imagenet256_latents --config.data.data_dir=IMAGES
    python -m jmim.main --config=configs/latent_umd_imagenet256.py \
      --workdir=runs/umd --config.data.data_dir=DIR
    python -m jmim.main --workdir=runs/umd_ft --config.data.data_dir=DIR \
      --config=configs/latent_umd_imagenet256.py:finetune=True \
      --config.init_from.path=runs/umd \
      --config.method.first_stage.path=runs/vae

Arguments: finetune=False, variant=L/2, epochs=0.0 (800; fine-tuning 50),
batch=0 (1024; 256). An epoch is one over the images: with four views, a
quarter of the data set.

Reference (the authors'; not repeated here): 100-shot linear probe 54.4; after
fine-tuning, FID 3.96, IS 212.6.

Size: 611 M parameters.
Time: not measured.
Expect: the authors' FID after fine-tuning, not repeated: 3.96.
"""

from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, finetune=False, variant="L/2", epochs=0.0, batch=0
  )
  epochs = arg.epochs or (50.0 if arg.finetune else 800.0)
  batch = arg.batch or (256 if arg.finetune else 1024)
  config = configs.base()
  config.data.update(
    name="imagenet256_latents",
    eval_split="test",
    batch=batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="diffusion.umd",
    dims=configs.section(variant=arg.variant),
    size=32,
    channels=4,
    decoder_depth=8,
    first_stage=configs.section(variant="kl-f8"),
    noise=configs.section(schedule="linear"),
    sampling=configs.section(clip=0.0, steps=125),
    clean_share=0.5,
    clean_mask=0.75,
    noised_mask=0.375,
  )
  config.optim.update(
    lr=1.5e-4, lr_batch=256, b2=0.95, weight_decay=0.05, clip_norm=1.0
  )
  if arg.finetune:
    config.method.update(clean_share=0.05, noised_mask=0.0)
    config.method.labels = configs.section(classes=1000)
    config.method.sampling.guidance = 1.5
    config.init_from.reinit = ("/label_",)
    config.optim.update(b2=0.999, weight_decay=0.0)
    config.ema.update(decay=0.9999, warmup=False)
  total = round(epochs * IMAGES)
  config.schedule.update(name="cosine", warmup_images=total // 20)
  config.train.update(
    total_images=total, checkpoint_images=10 * IMAGES, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
