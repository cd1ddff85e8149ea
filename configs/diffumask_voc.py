"""DiffuMask at its published size: Stable Diffusion 1.4 and PASCAL VOC.

15,000 images of each of 20 classes at 512 px: the texts are `prompts/voc`, made
on first use. SD is a run of Stable Diffusion 1 (`jmim.convert`), CLIP the
tokenizer.json of its text encoder.

    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/diffumask_voc.py:source=SD,tokenizer=CLIP,label=2
    python -m jmim.main --mode=dry_run --topology=v5e:4x4 \
      --config=configs/diffumask_voc.py

Arguments: source=, tokenizer= (paths), label=-1 (one class: 2 is bird; all of
them are a run each), batch=16 (one image a chip of v5e:4x4).
Then affinity_voc, diffumask_masks_voc and segment_voc, class by class.

Reference (from memory; not repeated here): 60,000 images in all of VOC's
classes, mIoU of a Mask2Former R50 57.4, Swin-B 70.6.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data.builders import prompts
from jmim.data.procedural import prompts as texts
from jmim.methods.parts import word_tables

EACH = prompts.Prompts.BUILDER_CONFIGS[0].train
CLIP = dict(text_start=49406, text_end=49407, text_pad=49407)


def slice_of(label: int) -> str:
  """Of the train split, which is stored by class; -1: all."""
  if label < 0:
    return "train"
  return f"train[{EACH * label}:{EACH * (label + 1)}]"


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, source="", tokenizer="CLIP", label=-1, batch=16)
  choices.check(arg, label=range(-1, len(texts.CLASSES)))
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="prompts/voc",
    train_split=slice_of(arg.label),
    batch=arg.batch,
    size=512,
    mean=half,
    std=half,
    tokenizer=f"file:{arg.tokenizer}",
    text_words=word_tables.words(),
    **CLIP,
  )
  config.procedure = configs.section(
    type="edit.diffumask",
    source=dict(
      path=arg.source, recipe="configs/ldm_laion512.py:autoencoder=VAE"
    ),
  )
  name = texts.CLASSES[arg.label] if arg.label >= 0 else "voc"
  config.apply.update(splits=("train",), store=f"word_maps_{name}")
  return config
