"""The results as text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.honest.candidates import versions
from benchmarks.honest.effect import FAULT
from benchmarks.pages import put

Row = dict[str, Any]
BAD = ("false alarm", "no verdict", "missed", "wrong export")
"""The outcomes that must not be."""
OUTCOMES = (
    "right", "false alarm", "no verdict", "missed", "wrong export", "wrong but caught", "no file",
)  # fmt: skip


def line(row: Row) -> str:
    """One result that is not as it should be."""
    reasons = "; ".join(row["reasons"])[:400]
    wrong = f" [{row['wrong']}]" if row["wrong"] else ""
    return (
        f"{row['outcome']}: {row['net']} seed {row['seed']}, {row['candidate']}{wrong}: {reasons}"
    )


def summary(rows: Sequence[Row]) -> str:
    """How many there are of each outcome."""
    counts = Counter(row["outcome"] for row in rows)
    nets = len({row["net"] for row in rows})
    parts = ", ".join(f"{counts[name]:,} {name}" for name in OUTCOMES if counts[name])
    return f"{nets} nets, {len(rows):,} checks: {parts}"


def by_net(rows: Sequence[Row]) -> str:
    """One line for each net with anything but right files, in Markdown; "" where there is none."""
    lines = [["net", *OUTCOMES], ["---", *["---:"] * len(OUTCOMES)]]
    for net in sorted({row["net"] for row in rows if row["outcome"] != "right"}):
        counts = Counter(row["outcome"] for row in rows if row["net"] == net)
        lines.append([net, *(str(counts[name] or "") for name in OUTCOMES)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) if lines[2:] else ""


def by_candidate(rows: Sequence[Row]) -> str:
    """One line for each way to make a file, in Markdown."""
    ways = list(dict.fromkeys(row["candidate"].split(",")[0] for row in rows))
    lines = [["file or check", *OUTCOMES], ["---", *["---:"] * len(OUTCOMES)]]
    for way in ways:
        counts = Counter(r["outcome"] for r in rows if r["candidate"].split(",")[0] == way)
        lines.append([way, *(str(counts[name] or "") for name in OUTCOMES)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def open_points(rows: Sequence[Row]) -> str:
    """What is not as it should be, one line for each net and outcome."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["outcome"] in BAD:
            found.setdefault((row["net"], row["outcome"]), []).append(row)
    lines = []
    for (net, outcome), own in sorted(found.items()):
        files = ", ".join(dict.fromkeys(row["candidate"].split(",")[0] for row in own))
        reason = own[0]["wrong"] or "; ".join(own[0]["reasons"][:1])
        lines.append(f"- {net}, {outcome} ({files}): {_brief(reason)}")
    return "\n".join(lines)


def _brief(text: str) -> str:
    """The start of a message, as one line of Markdown."""
    start = " ".join(text.split("[ONNXRuntimeError]")[0].split()).rstrip(": ")
    return start if len(start) <= 200 else f"{start[:200].rsplit(' ', 1)[0]} ..."


def wrong_files(rows: Sequence[Row]) -> str:
    """What other exporters and optimizers broke, each once."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["outcome"] == "wrong but caught":
            found.setdefault((row["net"], row["candidate"]), row)
    return "\n".join(
        f"- {net}, {candidate}: {_brief(row['wrong'])}"
        for (net, candidate), row in sorted(found.items())
    )


def write(rows: Sequence[Row], data: Path | None, page: Path | None, how: str) -> None:
    """Write the files that are asked for."""
    if data:
        counts = Counter(row["outcome"] for row in rows)
        document = {"versions": versions(), "counts": counts, "rows": list(rows)}
        data.write_text(json.dumps(document, indent=1) + "\n")
    if page:
        wrong, nets = wrong_files(rows), by_net(rows)
        parts = [
            f"{stamp()} {how}\n\n{summary(rows)}.",
            by_candidate(rows),
            open_points(rows),
            wrong and f"The wrong files, and what onnxruntime shows of each:\n\n{wrong}",
            nets and f"The nets whose checks are not all *right*:\n\n{nets}",
        ]
        put(page, "results", "\n\n".join(part for part in parts if part))


def stamp() -> str:
    """The versions that took part."""
    known = {name: version for name, version in versions().items() if version != "missing"}
    found = ", ".join(f"{name} {version}" for name, version in known.items())
    return f"Measured with {found}."


def counted(rows: Sequence[Row]) -> list[Row]:
    """The faults that count: large enough, in nets whose honest file passes."""
    honest = {row["net"] for row in rows if row["kind"] == "none" and row["verdict"] == "pass"}
    return [r for r in rows if r["kind"] != "none" and r["net"] in honest and r["change"] >= FAULT]


def share_caught(rows: Sequence[Row]) -> float:
    """The share of the faults that are not passed; 0 where there are none."""
    faults = counted(rows)
    return sum(row["verdict"] != "pass" for row in faults) / len(faults) if faults else 0.0


def misses(rows: Sequence[Row]) -> list[str]:
    """Each fault that counts and passes, and each honest file that does not pass."""
    missed = [
        f"missed: {r['net']}, {r['kind']}: {r['what']} ({r['change']:.3g} times the rounding error)"
        for r in counted(rows)
        if r["verdict"] == "pass"
    ]
    return missed + [
        f"honest file: {row['net']}: {row['verdict']}: {'; '.join(row['reasons'])[:300]}"
        for row in rows
        if row["kind"] == "none" and row["verdict"] != "pass"
    ]


def attack_summary(rows: Sequence[Row]) -> str:
    """Who catches how many."""
    faults, honest = counted(rows), [row for row in rows if row["kind"] == "none"]
    good = {row["net"] for row in honest if row["verdict"] == "pass"}
    small = [r for r in rows if r["kind"] != "none" and r["net"] in good and r["change"] < FAULT]
    verdicts = Counter(row["verdict"] for row in faults)
    caught = ", ".join(f"{verdicts[name]:,} {name}" for name in ("fail", "inconclusive", "error"))
    lines = [
        f"{len(honest)} nets; {len(good)} of their honest files pass; {len(faults):,} faults",
        f"verify: {100 * share_caught(rows):.2f}% caught ({caught}), {verdicts['pass']} missed",
    ]
    for name in ("allclose", "Polygraphy"):
        seen = sum(row[name.lower()] for row in faults)
        alarms = sum(row[name.lower()] for row in honest)
        lines.append(f"{name}: {100 * seen / max(len(faults), 1):.1f}% caught, "
                     f"{alarms} of {len(honest)} honest files rejected")  # fmt: skip
    seen = sum(row["verdict"] != "pass" for row in small)
    lines.append(
        f"smaller faults (2 to {FAULT:g} times the rounding error): verify catches {seen} of "
        f"{len(small)}"
    )
    return "\n".join(lines)


def attack_table(rows: Sequence[Row]) -> str:
    """One line for each kind of fault, in Markdown."""
    faults = counted(rows)
    head = ["fault", "planted", "caught by verify", "by allclose", "by Polygraphy"]
    lines = [head, ["---", *["---:"] * 4]]
    for kind in sorted({row["kind"] for row in faults}):
        own = [row for row in faults if row["kind"] == kind]
        seen = sum(row["verdict"] != "pass" for row in own)
        others = [sum(row[name] for row in own) for name in ("allclose", "polygraphy")]
        lines.append([kind, str(len(own)), str(seen), *map(str, others)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def write_attacks(rows: Sequence[Row], data: Path | None, page: Path | None) -> None:
    """Write the files that are asked for."""
    if data:
        data.write_text(json.dumps({"versions": versions(), "rows": list(rows)}, indent=1) + "\n")
    if page:
        named = "\n".join(f"- {line}" for line in misses(rows))
        figures = attack_summary(rows).replace("\n", ".\n- ")
        parts = [stamp(), f"- {figures}.", attack_table(rows), named]
        put(page, "attacks", "\n\n".join(part for part in parts if part))
