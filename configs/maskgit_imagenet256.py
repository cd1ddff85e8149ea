"""MaskGIT on codes of ImageNet at 256 x 256, after the released config.

Data: `imagenet256_codes`, 16 x 16 codes, made once by a VQ autoencoder of
factor 16 (a run; vq-f16 has 16384 codes, theirs had 1024):

    python -m jmim.tools.cache_latents --workdir=runs/vq --output=codes \
      --config=configs/autoencoder_vq_imagenet.py:variant=vq-f16 --views=2 \
      --name=imagenet256_codes --out=DIR --config.data.data_dir=IMAGES
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/maskgit_imagenet256.py:codes=16384 \
      --config.method.codes.path=runs/vq
    python -m jmim.main --mode=sample ... --num=50000 --steps=8

Arguments: epochs=300, batch=256, codes=1024 (of the tokenizer). An epoch is one
over the images: with two views, half of the data set.

2 M steps in the config, 300 epochs in the paper. Reference (the authors'; not
repeated here): FID 6.06 in 8 iterations. Dropout of the attention's
probabilities is not followed. Without codes.path it trains, but samples codes.

Size: 172 M parameters.
Time: not measured.
Expect: the authors' FID in 8 iterations, not repeated: 6.06.
"""

from jmim.core import config as configs

IMAGES = 1_268_355  # train[:99%]


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, epochs=300, batch=256, codes=1024)
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
    type="discrete.maskgit",
    codes=configs.section(
      kind="vq", variant="vq-f16", vocabulary=arg.codes, side=16
    ),
    classes=1000,
    dims=configs.section(width=768, depth=24, heads=16),
    masks=configs.section(least=0.5),
    smoothing=0.1,
    sampling=configs.section(steps=8, temperature=4.5),
  )
  config.optim.update(lr=1e-4, b2=0.96, weight_decay=0.045)
  config.schedule.update(name="constant", warmup_steps=5000)
  config.train.update(
    total_images=arg.epochs * IMAGES, checkpoint_steps=50_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
