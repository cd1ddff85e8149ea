"""VQ-Diffusion on codes of ImageNet at 256 x 256, the released class model.

Data: `imagenet256_codes`, 16 x 16 codes, made once by a VQ autoencoder of
factor 16 (a run; vq-f16 has 16384 codes, theirs are the 974 in use of as many):

    python -m jmim.tools.cache_latents --workdir=runs/vq --output=codes \
      --config=configs/autoencoder_vq_imagenet.py:variant=vq-f16 --views=2 \
      --name=imagenet256_codes --out=DIR --config.data.data_dir=IMAGES
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/vq_diffusion_imagenet256.py:codes=16384 \
      --config.method.codes.path=runs/vq
    python -m jmim.main --mode=sample ... --num=50000 --guidance=5

Arguments: epochs=100, batch=512, codes=974 (of the tokenizer), masked=0.99999
(0.9: a tenth of the codes replaced, as the paper has it, from memory). An epoch
is one over the images: with two views, half of the data set.

Reference (the authors'; not repeated here): FID 11.89; with the improved
samplers 4.83 (guidance 3 to 5; without it, method.sampling.truncation=0.86).
Theirs halves the rate on plateaus and clips for 5000 steps; here the rate is
halved once, after two thirds, and gradients are always clipped. The EMA, 0.99
every 25 steps there, is 0.9996 in each. Without codes.path it trains, but
samples codes.

Size: 518 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, epochs=100, batch=512, codes=974, masked=0.99999)
  config = configs.base()
  config.data.update(
    name="imagenet256_codes",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="discrete.vq_diffusion",
    codes=configs.section(
      kind="vq", variant="vq-f16", vocabulary=arg.codes, side=16
    ),
    condition=configs.section(kind="class", classes=1000),
    network=configs.section(width=512, depth=24, heads=16, mlp="conv"),
    process=configs.section(mask_last=arg.masked),
    bound=configs.section(auxiliary=1e-3),
  )
  config.optim.update(lr=4.5e-4, b2=0.96, weight_decay=0.045, clip_norm=0.5)
  config.schedule.update(
    name="step",
    warmup_steps=5000,
    start_lr=3e-6,
    drop_images=arg.epochs * IMAGES * 2 // 3,
    drop_factor=0.5,
  )
  config.ema.decay = 0.9996
  config.train.update(
    total_images=arg.epochs * IMAGES, checkpoint_steps=10_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
