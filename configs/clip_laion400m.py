"""CLIP at its published sizes, on pairs of images and texts (LAION-400M).

Examples hold `image` and `caption`; TOKENS is CLIP's tokenizer.json.

    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/clip_laion400m.py:tokenizer=TOKENS

Published weights of this size instead of training (OpenAI's, as Transformers
has them, or OpenCLIP's, which has GELUs: act=gelu):

    python -m jmim.convert --from=hf_clip_model --weights=FOLDER --out=CLIP \
      --config=configs/clip_laion400m.py:tokenizer=TOKENS

Arguments: variant=B/32 (B/16, L/14), tokenizer= (a file), act=quick_gelu,
epochs=32, batch=32768.

Reference (ImageNet, zero-shot top-1 %, not repeated; OpenAI's on their 400 M
pairs): B/32 63.2, B/16 68.6, L/14 75.3.

Size: 151 M parameters.
Time: not measured.
Expect: the authors' top-1 on ImageNet, not repeated: 63.2 %.
"""

from jmim.core import choices
from jmim.core import config as configs

# Width, blocks and heads of the texts' tower; the learning rate.
TEXTS = {
  "B/32": (dict(width=512, depth=12, heads=8, projection=512), 5e-4),
  "B/16": (dict(width=512, depth=12, heads=8, projection=512), 5e-4),
  "L/14": (dict(width=768, depth=12, heads=12, projection=768), 4e-4),
}
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def get_config(arg: str | None = None):
  texts = dict(tokenizer="", act="quick_gelu")
  arg = configs.parse_arg(
    arg, variant="B/32", **texts, epochs=32.0, batch=32_768
  )
  choices.check(arg, variant=TEXTS)
  text, lr = TEXTS[arg.variant]
  config = configs.base()
  config.data.update(
    name="laion400m",
    eval_split="test",
    batch=arg.batch,
    size=224,
    host_crop="resized",
    crop_scale=(0.9, 1.0),
    flip=False,
    mean=MEAN,
    std=STD,
    tokenizer=f"file:{arg.tokenizer or 'tokenizer.json'}",
    text_start=49_406,
    text_end=49_407,
    text_pad=49_407,
  )
  config.method = configs.section(
    type="text.clip",
    size=224,
    dims=dict(variant=arg.variant),
    act=arg.act,
    text=dict(act=arg.act, **text),
  )
  config.optim.update(lr=lr, b2=0.98, eps=1e-6, weight_decay=0.2)
  config.schedule.update(name="cosine", warmup_steps=2000)
  config.train.update(
    total_epochs=arg.epochs, checkpoint_steps=1000, log_steps=100
  )
  config.evals.zeroshot = configs.section(
    type="zeroshot", predict="features", limit=10_000, every_steps=5000
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
