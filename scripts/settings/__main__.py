"""Makes what follows from src/settings/table.toml: `python3 scripts/settings` writes the files, `--check` says which are
stale, `--json` prints the table for other generators. Needs Python 3.11 and rustfmt."""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import docs  # noqa: E402
import java  # noqa: E402
import rust  # noqa: E402
import table  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def main(arguments):
    if not set(arguments) <= {"--check", "--json"}:
        sys.exit(__doc__)
    everything = table.load(ROOT / "src/settings/table.toml")
    if "--json" in arguments:
        print(json.dumps({
            "settings": [vars(s) | {"snake": s.snake, "range": s.range} for s in everything[1]],
            "pairs": [vars(p) for p in everything[2]],
            "own-headers": everything[3],
        }, indent=1))
        return
    stale = []
    for path, text in (rust.files(*everything) | java.files(*everything) | docs.files(*everything)).items():
        file = ROOT / path
        if not file.exists() or file.read_text() != text:
            stale.append(path)
            if "--check" not in arguments:
                file.write_text(text)
                print("wrote", path)
    if "--check" in arguments and stale:
        sys.exit(f"stale: {', '.join(stale)}; run python3 scripts/settings")


main(sys.argv[1:])
