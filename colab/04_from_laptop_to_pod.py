# %% [markdown]
# # From laptop to pod
#
# A recipe runs unchanged on a laptop, a GPU box and a TPU pod. Before a pod is
# paid for, its compiler can be asked on the laptop: the real training step is
# compiled for chips that nobody attached, and what it needs is read from the
# program. Nothing is trained here.

# %% [markdown]
# ## The model
#
# MAE with ViT-L/16 at 224 pixels, as published: batch 4096. The table needs no
# data and computes nothing.

# %%
# !$JMIM --mode=describe --config=configs/mae_imagenet.py:variant=L/16

# %% [markdown]
# ## On eight simulated devices
#
# The same step, partitioned over eight CPU devices, at a size of a laptop:
# what is held by each of them, and what they have to tell each other.

# %%
# !$JMIM --mode=dry_run --topology=cpu:8 --config=configs/mae_digits.py --config.hardware.mesh.fsdp=2

# %% [markdown]
# ## On a pod: 256 chips of TPU v5e
#
# The TPU compiler is a package. With it, the step is compiled for the pod: its
# memory per chip and the margin, the bytes that travel, and the bound on the
# speed, which no run can beat.

# %%
if importlib.util.find_spec("libtpu") is None:
  subprocess.run(
    [sys.executable, "-m", "pip", "install", "-q", "libtpu"], check=True
  )

# %%
# !$JMIM --mode=dry_run --topology=v5e:16x16 --config=configs/mae_imagenet.py:variant=L/16 --config.hardware.mesh.fsdp=16

# %% [markdown]
# ## The launch
#
# `docs/scale.md` goes through what to set and why, and `launch/` holds scripts
# for one machine, several processes, Slurm, TPU pods and Kubernetes. The run
# itself is the command of the laptop:
#
# ```sh
# python -m jmim.main --config=configs/mae_imagenet.py:variant=L/16 --workdir=/shared/mae_l --config.hardware.mesh.fsdp=16
# ```
