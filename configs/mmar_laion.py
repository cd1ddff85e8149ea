"""MMAR of the size of Qwen2 0.5B on LAION and CapFusion, 256 x 256 pixels.

Examples hold `moments` [16, 16, 32] of a KL autoencoder of factor 16 (as of
`mar_imagenet256`), and `tokens` [64], ids of Qwen2's tokenizer (not here), then
151643. Stage one is on 120 M pairs, two on 24 M better ones, three on questions
and answers, where `learnt` [64] is 0 for words that are asked:

    python -m jmim.convert --weights=Qwen2-0.5B-Instruct --out=runs/qwen2
    R=configs/mmar_laion.py
    python -m jmim.main --config=$R:start=runs/qwen2 --workdir=W1
    python -m jmim.main --config=$R:stage=2,start=W1 --workdir=W2

each with --config.data.data_dir=DIR, and method.first_stage.path to sample.
Arguments: stage=1 (2, 3), start= (a run; empty: from nothing), size=0.5B (7B),
lora=0 (rank, with host=runs/qwen2, which is then frozen), batch=2048.

Reference (the authors'; not repeated here; AVE@18 / FID-30K of COCO): 34.56 /
36.6. Rates, batch, decay, the data of stage three, sizes of ViT and head are
not known: those here are guesses. Sizes of Qwen2 are public.

Size: 694 M parameters.
Time: not measured.
Expect: the authors' FID-30K of COCO after stage two, not repeated: 36.6.
"""

from jmim.core import choices
from jmim.core import config as configs

# Of each stage: least share masked, share of captions, rate, images.
STAGES = {
  1: (0.7, 0.5, 1e-4, 120_000_000),
  2: (0.0, 0.5, 1e-4, 24_000_000),
  3: (0.0, 0.9, 2e-5, 665_000),
}
SMALL, LARGE = dict(width=896, depth=24), dict(width=3584, depth=28)
QWEN2 = {
  "0.5B": dict(dims=dict(heads=14, **SMALL), hidden=4864, kv_heads=2),
  "7B": dict(dims=dict(heads=28, **LARGE), hidden=18944, kv_heads=4),
}
WORDS = {"0.5B": 151_936, "7B": 152_064}


def get_config(arg: str | None = None):
  known = dict(stage=1, start="", size="0.5B", lora=0, host="", batch=2048)
  arg = configs.parse_arg(arg, **known)
  choices.check(arg, stage=STAGES, size=QWEN2)
  least, describe, rate, images = STAGES[arg.stage]
  config = configs.base()
  config.data.update(name="laion256_kl16", eval_split="test", batch=arg.batch)
  config.data.update(size=256, flip=False, mean=(0.5,) * 3, std=(0.5,) * 3)
  more = dict(lora=dict(rank=arg.lora), tied=arg.size == "0.5B")
  config.method = configs.section(
    type="latent.mmar",
    text=dict(words=WORDS[arg.size], weighed=arg.stage == 3),
    network=dict(lm=QWEN2[arg.size] | more),
    host=dict(path=arg.host),
    sequence=dict(least_rate=least, describe=describe),
    sampling=dict(guidance=3.0),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=rate, b2=0.95, weight_decay=0.02, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_images=images // 20)
  config.ema.decay = 0.9999
  config.train.update(total_images=images, checkpoint_steps=2000, log_steps=50)
  config.evals = configs.section(
    loss=dict(type="loss", every_steps=2000, limit=8192)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
