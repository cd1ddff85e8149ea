"""DiffUHaul: a thing is moved and stays what it is.

A model told ellipses (3500 steps), 128 scenes that it makes of ellipses and
words; the first of two things moves by a quarter of the picture or more.
`data.procedural.dragged` reads the pictures.

1. Described in words: the thing is where it should be (within 2 of 32 pixels),
   and the place it left shows the ground (90 % of its pixels), each in >= 60 %
   (card: 80 %).
2. Both things described as "object": colour and kind are kept by the full
   method in >= 10 points more of them than by a moved ellipse and new noise.

Exact (in the tests): attention between a thing and what is outside of its
ellipse is 0; nothing moved, the source is reproduced; outside of the mask the
picture is the source's; one bucket is one noise.
"""

from jmim.tools import claims

LESS = ("evals.samples=None",)
APPLY = "configs/diffuhaul_scenes.py:base={workdir:base}"


def get_claim() -> claims.Claim:
  share = lambda run, name: lambda r: r[run][f"drags/{name}"]
  gain = lambda r: share("vague", "kept")(r) - share("plain", "kept")(r)
  texts = {
    "moved": "1: thing where it should be, percent (card: 80)",
    "clear": "1: place it left shows the ground, percent (card: 80)",
  }
  return claims.Claim(
    runs={
      "base": claims.Run("configs/blob_scenes.py", LESS, shared=True),
      "full": claims.Run(APPLY),
      "vague": claims.Run(f"{APPLY},vague=True"),
      "plain": claims.Run(f"{APPLY},vague=True,plain=True"),
    },
    conditions=(
      *(
        claims.Condition(text=text, value=share("full", name), at_least=60.0)
        for name, text in texts.items()
      ),
      claims.Condition(
        text="2: colour and kind kept, full - moved ellipse and new noise",
        value=gain,
        at_least=10.0,
      ),
    ),
    metrics=("drags/moved", "drags/clear", "drags/kept"),
  )
