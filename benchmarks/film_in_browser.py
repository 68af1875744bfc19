"""Does the film of a trained agent play in a browser, from the report, without a network or a display?

    python benchmarks/film_in_browser.py reports/STUDY/index.html      # needs chromium on the PATH

Opens the page from its file in headless Chromium, plays the film and prints how far it got.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from browser import new_tab

PLAY = """(async () => {
  const film = document.querySelector('video');
  if (!film) return {problem: 'there is no film on the page'};
  film.loop = false;
  try { await film.play(); } catch (error) { return {problem: String(error)}; }
  await new Promise(done => setTimeout(done, 1500));
  return {seconds_played: film.currentTime, seconds: film.duration, width: film.videoWidth, height: film.videoHeight,
          frames: film.getVideoPlaybackQuality().totalVideoFrames, problem: film.error && film.error.message};
})()"""


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with new_tab() as tab:
        tab.open(Path(sys.argv[1]).resolve().as_uri())
        found = tab.evaluate(PLAY)
    print(json.dumps(found))
    raise SystemExit(0 if found.get("seconds_played", 0) > 0 and not found["problem"] else 1)


if __name__ == "__main__":
    main()
