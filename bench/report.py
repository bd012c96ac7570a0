"""What compare.py found, as tables or JSON."""
import json
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Result:
    """Of one engine with one number of threads on one model. Milliseconds and MiB; None where it did not come so far."""
    engine: str
    threads: int
    convert: float | None = None
    load: float | None = None
    first: float | None = None
    estimate: float | None = None  # of one run; says how many fit into a turn
    peak: float | None = None
    runs: list[float] = field(default_factory=list)
    error: str | None = None  # it cannot run the model
    wrong: str | None = None  # it can, but the outputs differ

    @property
    def failure(self) -> str | None:
        return self.error or self.wrong

    @property
    def p50(self) -> float:
        return statistics.median(self.runs)

    @property
    def p90(self) -> float:
        return sorted(self.runs)[math.ceil(0.9 * len(self.runs)) - 1]


@dataclass
class Measured:
    """A model, with every engine and number of threads."""
    name: str
    results: list[Result]
    error: str | None = None
    checked: bool = True  # there was something to compare outputs with

    def at(self, engine: str, threads: int) -> Result:
        return next(it for it in self.results if (it.engine, it.threads) == (engine, threads))


@dataclass
class Report:
    header: dict[str, str]
    engines: list[str]  # Inlay, then its peers
    threads: list[int]
    measured: list[Measured] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Inlay cannot run a model, or its outputs are wrong. What a peer does is that peer's loss, seen in the tables."""
        return any(m.error or any(r.failure for r in m.results if r.engine == self.engines[0]) for m in self.measured)

    def ratio(self, m: Measured, peer: str | None, threads: int) -> float | None:
        """The time of the peer, or of the best one, by that of Inlay: above 1 Inlay is faster. Infinite where only Inlay
        can run the model, 0 where only the other can, None where neither."""
        def time(engine: str) -> float:
            result = m.at(engine, threads)
            return math.inf if result.failure else result.p50

        inlay = time(self.engines[0])
        other = min((time(engine) for engine in ([peer] if peer else self.engines[1:])), default=math.inf)
        if math.isinf(inlay):
            return None if math.isinf(other) else 0.0
        return other / inlay


Rows = list[list[str]]


def text_ratio(ratio: float | None) -> str:
    return "-" if ratio is None else "only Inlay" if math.isinf(ratio) else "LOST" if ratio == 0 else f"{ratio:.2f}"


def tables(report: Report) -> tuple[list[tuple[str, Rows]], list[str]]:
    """(title, rows) of each table, the first row being its header; and the footnotes."""
    notes: dict[str, int] = {}

    def mark(m: Measured, r: Result) -> str:
        number = notes.setdefault(f"{m.name}, {r.engine}: {r.failure}", len(notes) + 1)
        return f"{'FAILED' if r.wrong else 'cannot'} [{number}]"

    pairs = [(m, t) for m in report.measured if not m.error for t in report.threads]
    unable = -1.0  # neither Inlay nor a peer: before all else
    pairs.sort(key=lambda pair: unable if (r := report.ratio(pair[0], None, pair[1])) is None else r)

    def of_models(cell: Callable[[Result], str], last: Callable[[Measured, int], str] | None = None) -> Rows:
        rows = [["model", "threads", *report.engines] + (["best peer / inlay"] if last else [])]
        for m, t in pairs:
            cells = [mark(m, r) if r.failure else cell(r) for r in (m.at(engine, t) for engine in report.engines)]
            rows.append([m.name, str(t), *cells] + ([last(m, t)] if last else []))
        return rows

    found = [("Latency, p50 in ms; worst ratio first", of_models(
                 lambda r: f"{r.p50:.3f}", lambda m, t: text_ratio(report.ratio(m, None, t)))),
             ("Peer / Inlay, geometric mean (Inlay is faster on)", summary_rows(report)),
             ("Latency, min - p90 in ms", of_models(lambda r: f"{min(r.runs):.3f} - {r.p90:.3f}")),
             ("Load + first inference, ms", of_models(lambda r: f"{r.load:.1f} + {r.first:.1f}")),
             ("Conversion before that, ms", of_models(lambda r: f"{r.convert:.0f}")),
             ("Peak memory, MiB", of_models(lambda r: f"{r.peak:.1f}"))]
    lines = [f"[{number}] {text}" for text, number in notes.items()]
    lines += [f"{m.name}: {m.error}" for m in report.measured if m.error]
    lines += [f"{m.name}: outputs were not compared: ONNX Runtime did not run it, and it has no golden outputs"
              for m in report.measured if not (m.error or m.checked)]
    return found, lines


def summary(report: Report) -> list[dict]:
    """For each number of threads, each peer and then the best one: the geometric mean of models that both ran. What one
    alone can run counts as faster there, but is in no mean."""
    rows = []
    for t in report.threads:
        for peer in [*report.engines[1:], None]:
            ratios = [r for m in report.measured if not m.error and (r := report.ratio(m, peer, t)) is not None]
            both = [r for r in ratios if r and not math.isinf(r)]
            mean = statistics.geometric_mean(both) if both else None
            rows.append({"threads": t, "peer": peer or "best peer", "ratio": mean,
                         "inlay_faster": sum(r > 1 for r in ratios), "models": len(ratios)})
    return rows


def summary_rows(report: Report) -> Rows:
    rows = [["threads", *report.engines[1:], "best peer"]]
    for t in report.threads:
        rows.append([str(t), *(f"{text_ratio(it['ratio'])} ({it['inlay_faster']} of {it['models']})"
                               for it in summary(report) if it["threads"] == t)])
    return rows


def as_table(report: Report) -> str:
    found, notes = tables(report)
    lines = [f"{key}: {value}" for key, value in report.header.items()]
    for title, rows in found:
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines += ["", title]
        for row in rows:
            padded = [c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths))]
            lines.append("  ".join(padded).rstrip())
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def as_markdown(report: Report) -> str:
    found, notes = tables(report)
    lines = [f"- {key}: {value}" for key, value in report.header.items()]
    for title, (header, *rows) in found:
        lines += ["", f"### {title}", "", f"| {' | '.join(header)} |", "|---" + "|--:" * (len(header) - 1) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]).rstrip() + "\n"


def as_json(report: Report) -> str:
    def numbers(r: Result) -> dict:
        row = {"engine": r.engine, "threads": r.threads, "convert_ms": r.convert, "load_ms": r.load, "first_ms": r.first,
               "peak_mib": r.peak, "runs": len(r.runs), "error": r.error, "wrong": r.wrong}
        if r.runs:
            row |= {"p50_ms": r.p50, "p90_ms": r.p90, "min_ms": min(r.runs)}
        return row

    return json.dumps({
        **report.header,
        "summary": summary(report),
        "models": [{"name": m.name, "error": m.error, "checked": m.checked, "results": [numbers(r) for r in m.results]}
                   for m in report.measured]}, indent=1) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {"table": as_table, "markdown": as_markdown, "json": as_json}
