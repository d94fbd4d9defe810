"""Pictures of simulations: one over time for each variant, and one of all waits together.

Needs matplotlib (`tidegate[pictures]`), and no screen.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from simulation.result import Sample
from simulation.trials import Result

_DPI = 120
_GREY, _BLUE, _ORANGE, _RED, _GREEN = "#8a8f98", "#2563a8", "#d97706", "#b91c1c", "#15803d"
_STYLES = ("-", "--", "-.")
_COLOURS = (_BLUE, _ORANGE, _GREEN, _RED, "#7c3aed", "#0e7490", "#a16207", "#be185d")


def draw(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Into a folder that is there; the files that were written. Raises OSError."""
    written = []
    for number, result in enumerate(results, 1):
        path = folder / f"{number:02}-{file_name(result.label)}.png"
        _save(_over_time(result), path)
        written.append(path)
    path = folder / "waits.png"
    _save(_waits(results), path)
    return [*written, path]


def file_name(label: str) -> str:
    """What of a label may stand in the name of a file."""
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-").lower() or "variant"


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _over_time(result: Result) -> Figure:
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    rows = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 2, 1.2))
    series, outcome = result.outcome.series, result.outcome
    figure.suptitle(
        f"{result.label}: {outcome.requests:,} requests, {outcome.replica_seconds:,.0f} "
        f"replica-seconds, p99 wait {outcome.wait.p99:.3g} s, {outcome.failed:,} failed",
        fontsize=11,
    )
    for axes, picture in zip(rows, (_replicas, _load, _queue, _decisions), strict=True):
        picture(axes, series)
        _tidy(axes)
    rows[-1].set_xlabel("time since the start")
    rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda at, _: _clock(at)))
    end = series[-1].at if series else 1.0
    rows[-1].set_xlim(0, end)
    rows[-1].xaxis.set_major_locator(MultipleLocator(_round_step(end)))
    return figure


def _replicas(axes: Axes, series: Sequence[Sample]) -> None:
    at = [sample.at for sample in series]
    present = [sample.present for sample in series]
    frozen = [sample.frozen for sample in series]
    axes.fill_between(at, present, step="pre", color=_BLUE, alpha=0.18, lw=0, label="paid for")
    if any(frozen):
        axes.fill_between(
            at, frozen, step="pre", color="#7dd3fc", alpha=0.6, lw=0, label="frozen of them"
        )
    axes.step(at, [sample.ready for sample in series], where="pre", color=_BLUE, label="ready")
    desired = [sample.desired for sample in series]
    axes.step(at, desired, where="pre", color=_ORANGE, lw=1, ls="--", label="wanted")
    _named(axes, "replicas")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _load(axes: Axes, series: Sequence[Sample]) -> None:
    at = [sample.at for sample in series]
    steps = [after - before for before, after in zip([0.0, *at], at, strict=False)]
    rate = [sample.arrivals / step for sample, step in zip(series, steps, strict=True)]
    axes.step(at, rate, where="pre", color=_GREY, lw=0.9)
    _named(axes, "requests a second")
    other = axes.twinx()  # one may be a thousand times the other
    in_flight = [sample.in_flight for sample in series]
    other.step(at, in_flight, where="pre", color=_GREEN, lw=0.9)
    other.set_ylabel("in flight", color=_GREEN)
    other.set_ylim(0, max(1.0, *in_flight) * 1.05 if in_flight else 1.0)
    other.tick_params(axis="y", colors=_GREEN)
    other.spines["top"].set_visible(False)
    other.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _queue(axes: Axes, series: Sequence[Sample]) -> None:
    at = [sample.at for sample in series]
    queued = [sample.queued for sample in series]
    axes.fill_between(at, queued, step="pre", color=_RED, alpha=0.5, lw=0.5, label="waiting")
    axes.set_ylim(0, max(1.0, *queued) * 1.1 if queued else 1.0)
    _named(axes, "queue")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _decisions(axes: Axes, series: Sequence[Sample]) -> None:
    wanted = [sample.desired for sample in series]
    changes = [
        (sample.at, after - before)
        for sample, before, after in zip(series, [0, *wanted], wanted, strict=False)
        if after != before
    ]
    up = [change for change in changes if change[1] > 0]
    down = [change for change in changes if change[1] < 0]
    for some, colour, name in ((up, _ORANGE, "more"), (down, _BLUE, "fewer")):
        if some:
            axes.vlines([at for at, _ in some], 0, [by for _, by in some], color=colour, label=name)
    axes.axhline(0, color=_GREY, lw=0.6)
    _named(axes, "decisions")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _waits(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for number, result in enumerate(results):
        points = [(wait, share) for wait, share in result.waits if wait > 0]
        axes.step(
            [wait for wait, _ in points],
            [share for _, share in points],
            where="pre",
            color=_COLOURS[number % len(_COLOURS)],
            ls=_STYLES[number % len(_STYLES)],
            lw=2.6 - 0.4 * min(number, 4),  # so that equal ones are seen under each other
            label=f"{result.label} ({result.outcome.wait.delayed:.2%} waited)",
        )
    for share, name in ((0.05, "p95"), (0.01, "p99"), (0.001, "p99.9")):
        axes.axhline(share, color=_GREY, lw=0.6, ls=":")
        axes.annotate(name, (1, share), xycoords=("axes fraction", "data"), fontsize=8, color=_GREY)
    axes.set_title("waits for a replica", fontsize=11)
    axes.set_xlabel("wait of at least …")
    axes.set_ylabel("share of all requests")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda wait, _: _seconds(wait)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:g}%"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    _tidy(axes)
    axes.legend(loc="lower left", fontsize=9, frameon=False)
    return figure


def _named(axes: Axes, name: str) -> None:
    axes.set_ylabel(name)
    axes.set_ylim(bottom=None if name == "decisions" else 0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.98), fontsize=8, frameon=False, ncols=4)


def _tidy(axes: Axes) -> None:
    axes.grid(color="#e5e7eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _round_step(end: float) -> float:
    """Seconds between two marks, as clocks have them: at most a dozen to the end."""
    return next((step for step in _STEPS if end / step <= 12), end / 10)


_STEPS = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


def _clock(at: float) -> str:
    minutes, seconds = divmod(round(at), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}" if not seconds else f"{hours}h{minutes:02}:{seconds:02}"
    return f"{minutes}m" if not seconds else f"{minutes}m{seconds:02}"


def _seconds(wait: float) -> str:
    return f"{wait * 1000:g}ms" if wait < 1 else f"{wait:g}s"
