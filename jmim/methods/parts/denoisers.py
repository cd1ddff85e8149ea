"""Networks that denoise latents: the kinds that a section `dims` has."""

from jmim.nn.nets import told_dit
from jmim.nn.nets import unet

Dims = unet.Dims | told_dit.Dims
Network = unet.UNet | told_dit.ToldDiT
UNET = unet.Dims(dropout=0.0)
KINDS = {"unet": UNET, "dit": told_dit.Dims()}
