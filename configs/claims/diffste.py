"""DiffSTE: characters spell words that nobody learnt, the text colours them.

Words of three glyphs, 16 x 32 px folded to 8 x 16 (card: 32 x 64); 500 words
are learnt; 256 pictures of 500 others are written anew, with style and colour
as asked. 2500 steps of 32 (card: 6000), guidance 2, 20 steps of DDIM, EMA. A
small network on single letters reads the results, in percent.

exact  Outside of the mask an edited picture is what it was: change 0.

The reader is right of real letters at least 97 times in 100.

i.   With both branches at least twice as many characters of unseen words are
     right as with the text alone, and
ii.  at least 50.
iii. Colours are as asked in at least 80.
iv.  Before the paste-back pixels outside of the mask have moved by at most 0.05
     of their range -1 .. 1 (card: less than 0.05).

How often all of a word is right is reported.
"""

from jmim.tools import claims

RECIPE, RIGHT = "configs/diffste_glyphs.py", "spelling/right_label"


def get_claim() -> claims.Claim:
  run = lambda branches: claims.Run(
    f"{RECIPE}:branches={branches},reader={{workdir:reader}}"
  )
  return claims.Claim(
    runs={
      "reader": claims.Run("configs/attributes_glyphs.py", shared=True),
      "both": run("both"),
      "text": run("text"),
    },
    conditions=(
      claims.Condition(
        text="exact: mean change outside of the mask, pasted",
        value=lambda r: r["both"]["outside/image"],
        at_most=0.0,
      ),
      claims.Condition(
        text="the reader on real letters, percent",
        value=lambda r: r["reader"]["letters/top1"],
        at_least=97.0,
      ),
      claims.Condition(
        text="i: characters right, both branches / the text alone",
        value=lambda r: r["both"][RIGHT] / r["text"][RIGHT],
        at_least=2.0,
      ),
      claims.Condition(
        text="ii: characters of unseen words that are right, percent",
        value=lambda r: r["both"][RIGHT],
        at_least=50.0,
      ),
      claims.Condition(
        text="iii: colours as asked, percent",
        value=lambda r: r["both"]["spelling/right_colour"],
        at_least=80.0,
      ),
      claims.Condition(
        text="iv: mean change outside of the mask, before the paste-back",
        value=lambda r: r["both"]["outside/made"],
        at_most=0.05,
      ),
    ),
    metrics=(
      RIGHT,
      "spelling/right_colour",
      "spelling/words",
      "spelling/real_label",
    ),
  )
