# %% [markdown]
# # Your own images
#
# From a folder of images to a classifier, with two commands (docs/own_images.md).
# So that this notebook runs anywhere, the images are drawn here: four shapes, 150
# of each, as PNG and JPEG of different sizes, in colours that say nothing of the
# shape. With images of yours leave the next cell out and name your folder below.

# %%
import pathlib
import shutil

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from PIL import ImageDraw

folder = pathlib.Path("runs/notebook_07_images")
CORNERS = {  # of each shape around (0, 0), at distance 1 or less
  "cross": [
    *[(-1, -0.3), (-0.3, -0.3), (-0.3, -1), (0.3, -1), (0.3, -0.3)],
    *[(1, -0.3), (1, 0.3), (0.3, 0.3), (0.3, 1), (-0.3, 1)],
    *[(-0.3, 0.3), (-1, 0.3)],
  ],
  "disc": [(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 48)],
  "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
  "triangle": [(0, -1), (0.95, 0.8), (-0.95, 0.8)],
}


def draw(corners, rng):
  """One image with a light shape anywhere on a dark ground."""
  width, height = map(int, rng.integers(70, 140, 2))
  ground, light = rng.integers(0, 110, 3), rng.integers(150, 256, 3)
  image = Image.new("RGB", (width, height), tuple(map(int, ground)))
  radius = rng.uniform(0.3, 0.45) * min(width, height)
  x0, y0 = (rng.uniform(radius, side - radius) for side in (width, height))
  points = [(x0 + radius * x, y0 + radius * y) for x, y in corners]
  ImageDraw.Draw(image).polygon(points, fill=tuple(map(int, light)))
  return image


rng = np.random.default_rng(0)
shutil.rmtree(folder, ignore_errors=True)
for name, corners in CORNERS.items():
  (folder / name).mkdir(parents=True)
  for i in range(150):
    ending = "png" if i % 3 else "jpg"
    draw(corners, rng).save(folder / name / f"{i:03}.{ending}")

figure, axes = plt.subplots(2, 6, figsize=(9, 3))
files = sorted(folder.glob("*/00[0-2].*"))
for axis, path in zip(axes.flat, files, strict=True):
  axis.imshow(plt.imread(path))
  axis.set_title(f"{path.parent.name} {path.suffix}", fontsize=8)
  axis.axis("off")
plt.show()

# %% [markdown]
# ## Pre-train
#
# The start says what was found in the folder. Labels are not trained on. For two
# CPU cores the model is smaller and the run shorter than the recipe has them:
# images of 32 pixels, four blocks, 500 steps of 64 images.

# %%
# !$JMIM --config=mae_folder:size=32,variant=Ti/4,steps=500,norm_pix=False --config.data.data_dir=runs/notebook_07_images --workdir=runs/notebook_07 --config.train.log_steps=100 --config.evals.loss=None --config.evals.recon.every_steps=250 --config.method.dims.width=96 --config.method.dims.depth=4

# %% [markdown]
# The probe at the end is a linear classifier on frozen features. Its reference
# lines are the same classifier on raw pixels and on the untrained encoder; a
# guess is right in 25 %. What the model fills in: original, what it saw, what it
# painted, at half of the run and at the end.

# %%
import jmim

run = jmim.run("runs/notebook_07")
print({k: round(v, 4) for k, v in run.results.items()})
pictures = [p for p in run.pictures if p.name.startswith("recon")]
figure, axes = plt.subplots(1, 2, figsize=(9, 6))
for axis, path in zip(axes, (pictures[0], pictures[-1]), strict=True):
  axis.imshow(plt.imread(path))
  axis.set_title(f"step {int(path.stem[-8:])}")
  axis.axis("off")
plt.show()

# %% [markdown]
# ## Fine-tune
#
# Classes are counted from the folder; a tenth of the images, the same as above,
# is held out to test on. `init_from` names the run to start from.

# %%
# !$JMIM --config=finetune_folder:size=32,variant=Ti/4,steps=300 --config.data.data_dir=runs/notebook_07_images --workdir=runs/notebook_07_ft --config.init_from.path=runs/notebook_07 --config.train.log_steps=100 --config.evals.accuracy.every_steps=100 --config.method.dims.width=96 --config.method.dims.depth=4

# %%
tuned = jmim.run("runs/notebook_07_ft")
top1 = tuned.metrics["accuracy/top1"]
print(f"chance {100 / len(CORNERS):.1f} %")
print(
  f"linear probe, untrained {run.results['probe/untrained_accuracy']:.1f} %"
)
print(f"linear probe, trained {run.results['probe/accuracy']:.1f} %")
for step, value in zip(top1.step, top1.value, strict=True):
  print(f"fine-tuned, step {step}: {value:.1f} %")

# %% [markdown]
# ## Use
#
# New images, which neither run has seen: names and probabilities.

# %%
model = tuned.load()
new = [(name, draw(CORNERS[name], rng)) for name in list(CORNERS) * 3]
answers = model.classify([image for _, image in new])
figure, axes = plt.subplots(2, 6, figsize=(9, 3.4))
for axis, (_, image), answer in zip(axes.flat, new, answers, strict=True):
  best, probability = answer[0]
  axis.imshow(image)
  axis.set_title(f"{best} {probability:.0%}", fontsize=8)
  axis.axis("off")
plt.show()
named = [answer[0][0] for answer in answers]
right = sum(a == name for a, (name, _) in zip(named, new, strict=True))
print(f"{right} of {len(new)} are right")

# %% [markdown]
# ## Next
#
# * images of 64 pixels and more, on an accelerator: the recipes as they are;
# * export to timm or Transformers: docs/own_images.md;
# * train and follow from Python: notebook 06.
