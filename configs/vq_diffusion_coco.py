"""VQ-Diffusion on codes of COCO, the text model B (370M), 256 x 256 pixels.

The text part is not here: examples of `coco_codes` hold `context` [77, 512],
the unit vectors of CLIP ViT-B/32 of the tokens of a caption, beside `tokens`
[1024], 32 x 32 codes of a tokenizer of factor 8 (theirs: the 2887 codes in use
of a Gumbel VQGAN; `jmim.tools.cache_latents --output=codes` stores others).

    python -m jmim.main --config=configs/vq_diffusion_coco.py --workdir=W \
      --config.data.data_dir=DIR --config.method.codes.path=VQ
    python -m jmim.main --config=configs/vq_diffusion_coco.py:null=W \
      --workdir=N --config.data.data_dir=DIR
    python -m jmim.main --mode=sample --workdir=N --num=64 \
      --config.method.condition.prompt=TEXT.npz

where TEXT.npz has one `context` [77, 512]; the evaluator `samples` reads those
of examples.

Arguments: epochs=100, batch=256, codes=2887 (of the tokenizer), null= (a run
to go on from, with a tenth of the captions replaced by learned features of no
text, as guidance needs them).

Reference (the authors'; not repeated here): FID 8.44 with guidance 3 to 5. From
memory: 19.75 at first. Their batch is 4 per GPU. Of rate, clipping and EMA see
`vq_diffusion_imagenet256`.

Size: 389 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, epochs=100, batch=256, codes=2887, null="")
  config = configs.base()
  config.data.update(
    name="coco_codes",
    eval_split="test",
    batch=arg.batch,
    size=256,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  learned = dict(learn_null=True, drop=0.1) if arg.null else {}
  config.method = configs.section(
    type="discrete.vq_diffusion",
    codes=configs.section(
      kind="vq", variant="vq-f8", vocabulary=arg.codes, side=32
    ),
    condition=configs.section(kind="text", tokens=77, width=512, **learned),
    network=configs.section(width=1024, depth=19, heads=16),
    bound=configs.section(auxiliary=5e-4),
  )
  if arg.null:
    config.init_from.update(path=arg.null, reinit=("main/null$",))
    config.method.sampling = configs.section(guidance=3.0)
  config.optim.update(lr=2e-4, b2=0.96, weight_decay=0.045, clip_norm=0.5)
  config.schedule.update(
    name="step",
    warmup_steps=1000,
    start_lr=3e-6,
    drop_epochs=arg.epochs * 2 / 3,
    drop_factor=0.5,
  )
  config.ema.decay = 0.9996
  config.train.update(
    total_epochs=arg.epochs, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=5000, limit=4096)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
