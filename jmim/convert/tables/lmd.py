"""Weights of the authors' LMD (AnonymousPony/lmd): MAE's names, on latents."""

from jmim.convert import family
from jmim.convert.tables import mae

full = mae.full

FAMILIES = {
  "lmd": family.Family(
    library="authors",
    methods=("mim.lmd",),
    table=family.main(full),
    optional=family.DECODER,
    ignored=("^(head|fc_norm)\\.",),
    # The same names with the table added are MAE's.
    fixed={"decoder_sign": -1},
  ),
}
