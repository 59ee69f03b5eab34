"""Figures for Prometheus: what the keeper counts of judged mail, and what can be measured beside it.

What it does: adds a mail to the tally, and puts everything into the text format of Prometheus
(https://prometheus.io/docs/instrumenting/exposition_formats).
Not its job: answering requests (`watchd`).
Raises: `OSError` when the state folder cannot be looked into.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gatepost.services.messages import Health, Record, Tally

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of scan times, in seconds; one bucket more takes the rest."""

SEPARATOR = "\x1f"
"""Between the labels in a key of the tally; no name of an engine has it."""

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def add(tally: Tally, record: Record) -> None:
    """Count one judged mail."""
    for decision in record.decisions:
        _count(tally.mails, decision.direction, decision.disposition)
    for finding in record.verdict.findings:
        _count(tally.findings, finding.kind, finding.source or "gatepost")
    for engine in record.verdict.engines:
        _count(tally.engines, engine.name, engine.state)
    if not tally.buckets:
        tally.buckets.extend([0] * (len(BOUNDS) + 1))
    tally.buckets[bisect_left(BOUNDS, record.verdict.seconds)] += 1
    tally.seconds += record.verdict.seconds


def _count(counts: dict[str, int], *labels: str) -> None:
    key = SEPARATOR.join(labels)
    counts[key] = counts.get(key, 0) + 1


class _Collector(Collector):
    def __init__(self, health: Health, state: Path, signatures: Mapping[str, float]) -> None:
        self._health = health
        self._state = state
        self._signatures = signatures

    def collect(self) -> Iterator[Family]:
        """Everything, once."""
        tally = self._health.tally
        yield _counter(
            "gatepost_mails",
            "Mails for one recipient each, by direction and what became of them.",
            ("direction", "disposition"),
            tally.mails,
        )
        yield _counter("gatepost_findings", "Findings, by kind and who found it.", ("kind", "source"), tally.findings)
        yield _counter("gatepost_engine_answers", "Answers of engines, by engine and how it ended.", ("engine", "state"), tally.engines)
        yield self._scan_seconds()
        yield from self._front()
        yield from self._canary()
        yield from self._sizes()
        ages = GaugeMetricFamily(
            "gatepost_signature_age_seconds", "Age of an engine's signatures, or of a set of signatures.", labels=("engine",)
        )
        for engine, at in self._signatures.items():
            ages.add_metric((engine,), time.time() - at)
        yield ages

    def _scan_seconds(self) -> HistogramMetricFamily:
        buckets, total = [], 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._health.tally.buckets or [0] * (len(BOUNDS) + 1), strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramMetricFamily(
            "gatepost_scan_seconds", "Time to scan one mail.", buckets=buckets, sum_value=self._health.tally.seconds
        )

    def _front(self) -> Iterator[Family]:
        beat = self._health.beat
        yield GaugeMetricFamily("gatepost_start_time_seconds", "When the keeper started.", value=self._health.started)
        yield GaugeMetricFamily("gatepost_workers", "Scan workers that live.", value=beat.workers if beat else 0)
        yield GaugeMetricFamily("gatepost_waiting", "Mails that wait for a scan worker.", value=beat.waiting if beat else 0)
        yield CounterMetricFamily("gatepost_overloads", "Mails sent away because too many waited.", value=beat.overloaded if beat else 0)
        yield GaugeMetricFamily(
            "gatepost_heartbeat_age_seconds", "Time since the front was heard of.", value=time.time() - (beat.at if beat else 0)
        )

    def _canary(self) -> Iterator[Family]:
        canary = self._health.canary
        yield GaugeMetricFamily(
            "gatepost_canary_well",
            "Whether the last canary was stopped or passed as it must be.",
            value=float(bool(canary and canary.well)),
        )
        if canary is not None:
            yield GaugeMetricFamily("gatepost_canary_age_seconds", "Time since the last canary.", value=time.time() - canary.at)

    def _sizes(self) -> Iterator[Family]:
        journal = sum(path.stat().st_size for path in self._state.glob("journal.sqlite*"))
        yield GaugeMetricFamily("gatepost_journal_bytes", "Size of the journal.", value=journal)
        kept = [path.stat().st_size for path in (self._state / "quarantine").glob("*/*")]
        yield GaugeMetricFamily("gatepost_quarantine_bytes", "Size of the quarantine.", value=sum(kept))
        yield GaugeMetricFamily("gatepost_quarantine_mails", "Contents in the quarantine.", value=len(kept))


def _counter(name: str, about: str, labels: tuple[str, ...], counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, count in sorted(counts.items()):
        family.add_metric(key.split(SEPARATOR, len(labels) - 1), count)
    return family


def page(health: Health, state: Path, signatures: Mapping[str, float]) -> bytes:
    """All figures as Prometheus reads them; `signatures` are times of engines' signatures in seconds since the epoch."""
    registry = CollectorRegistry()
    registry.register(_Collector(health, state, signatures))
    return generate_latest(registry)
