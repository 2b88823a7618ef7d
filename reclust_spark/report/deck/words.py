"""What the deck says of a cluster, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from reclust_spark.crosstab.discovery import is_discovery
from reclust_spark.explain.describe import EXTREMES, HIGHER, LOWER, MIDDLE
from reclust_spark.explain.label import shortened
from reclust_spark.paths import ROOT, parent
from reclust_spark.report.content import STOP_WORDS, Answer, Cell, Cluster, Report, name_of
from reclust_spark.report.deck.fit import Paragraph, Run, bold, muted, say

UNKNOWN = "unknown"
UNSTABLE = 0.6
"""A cluster found again with less (mean Jaccard) is not to be trusted: Hennig (2007)."""
FEW = "few people"
_QUESTION, _ANSWER, _NAME = 90, 40, 60
_TOLD = 3
SEEN = 0.0005
"""A smaller share is not worth a word."""
_PLACED = 4


def percent(share: float) -> str:
    """Return a share as people read it: one digit more where it is small."""
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def called(cluster: Cluster, longest: int = _NAME) -> str:
    """Return a cluster's number and name."""
    number = name_of(cluster.path)
    has_name = cluster.path != ROOT and cluster.label not in ("", cluster.path)
    return f"{number} {shortened(cluster.label, longest)}" if has_name else number


def title_of(cluster: Cluster) -> str:
    """Return a cluster's page's title."""
    number = name_of(cluster.path)
    return number if cluster.label in ("", cluster.path) else f"{number} · {cluster.label}"


def trail(report: Report, path: str) -> str:
    """Return the way to a cluster from everyone, itself left out."""
    above = []
    up = parent(path)
    while up is not None:
        above.append(called(report.clusters[up]))
        up = parent(up)
    return " › ".join(reversed(above))


def end_of(cluster: Cluster) -> str:
    """Return what becomes of a cluster: how it is split, or why it is not."""
    if cluster.n_children:
        return f"split into {cluster.n_children}; {cluster.n_noise:,} fit none"
    reason = cluster.stop_reason
    return "not split" if reason is None else f"not split: {STOP_WORDS.get(reason, reason)}"


def answer_of(answer: Answer) -> str:
    """Return a cluster's answer as a sentence says it: a bare number says where it lies."""
    if answer.direction == EXTREMES:
        return "one extreme or the other"
    if answer.direction and answer.direction not in (HIGHER, LOWER, MIDDLE):
        return answer.direction
    return f"{answer.here} ({answer.direction})" if _is_number(answer.here) else answer.here


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] == "-"


def _kept(answer: Answer) -> str:
    """Return what siblings are compared by: an answer in words, the direction of a number."""
    return answer.direction if _is_number(answer.here) else answer.here


def who(cluster: Cluster) -> tuple[Paragraph, ...]:
    """Return who they are: the leading answers as one sentence."""
    if not cluster.answers:
        return (say(muted("This cluster has not been explained: what marks it is unknown.")),)
    if cluster.picture is not None:
        return _brightness(cluster)
    telling = [a for a in cluster.answers if a.direction and answer_of(a)][:_TOLD]
    if not telling:
        return (say("No answer of theirs stands out against the group they were found in."),)
    against = "everyone" if parent(cluster.path) == ROOT else name_of(parent(cluster.path) or ROOT)
    runs: list[Run] = [Run("They answer ")]
    for at, answer in enumerate(telling):
        if at:
            runs.append(Run(", and " if at == len(telling) - 1 else ", "))
        runs.append(bold(shortened(answer_of(answer), _ANSWER)))
        runs.append(Run(f" to “{shortened(answer.question, _QUESTION)}”"))
        if answer.lift is not None and answer.lift >= 1.05:
            unit = f" as often as {against}" if at == 0 else ""
            runs.append(muted(f" ({answer.lift:.1f} times{unit})"))
    runs.append(Run("."))
    return (Paragraph(tuple(runs)),)


def _brightness(cluster: Cluster) -> tuple[Paragraph, ...]:
    """Return who they are where questions are pixels: the mean image says it better."""
    runs = [Run("On average they look like the image at the left. ")]
    against = name_of(parent(cluster.path) or ROOT)
    for direction, word in ((HIGHER, "Brighter"), (LOWER, "Darker")):
        pixels = [a.question for a in cluster.answers if a.direction == direction][:_TOLD]
        if pixels:
            names = ", ".join(shortened(pixel, _ANSWER) for pixel in pixels)
            runs += [
                bold(word),
                Run(f" than in {against} at {names}{'' if names[-1] == '…' else '.'} "),
            ]
    return (Paragraph(tuple(runs)),)


def apart(report: Report, cluster: Cluster) -> tuple[Paragraph, ...]:
    """Return what sets a cluster apart from its siblings, and whom the models confuse it with."""
    up = parent(cluster.path)
    others = [c for c in report.children(up or ROOT) if c.path != cluster.path]
    paragraphs = [_own_answers(cluster, others)] if cluster.picture is None else []
    if not cluster.siblings:
        return (*paragraphs, say("Whom the models confuse it with is unknown."))
    itself = next((s.share for s in cluster.siblings if s.path == cluster.path), 0.0)
    placed = [s for s in cluster.siblings if s.path != cluster.path and s.share >= 10 * SEEN]
    runs = [Run("Models place "), bold(percent(itself)), Run(" of its people here")]
    for sibling in placed[:_PLACED]:
        other = report.clusters.get(sibling.path)
        where = "none of them" if sibling.path == up or other is None else called(other, 40)
        runs += [Run(", "), bold(percent(sibling.share)), Run(f" in {where}")]
    if not placed:
        runs.append(Run(", hardly anyone in a sibling"))
    return (*paragraphs, Paragraph((*runs, Run("" if runs[-1].text.endswith("…") else "."))))


def _own_answers(cluster: Cluster, others: Sequence[Cluster]) -> Paragraph:
    """Return the leading answers that no sibling has among its own."""
    if not others:
        return say("It has no siblings.")
    told = {(a.source_column, _kept(a)) for other in others for a in other.answers}
    if not cluster.answers or not told:
        return say("What sets it apart is unknown: it or its siblings have not been explained.")
    own = [
        a for a in cluster.answers
        if a.direction and a.here and (a.source_column, _kept(a)) not in told
    ][:2]  # fmt: skip
    if not own:
        return say(
            "Each of its leading answers is also typical of a sibling: the mixture sets it apart."
        )
    runs: list[Run] = [Run("No sibling is known to share ")]
    for at, answer in enumerate(own):
        runs.append(Run(" or " if at else ""))
        runs.append(bold(shortened(answer_of(answer), _ANSWER)))
        runs.append(Run(f" on “{shortened(answer.question, _NAME)}”"))
    return Paragraph((*runs, Run(".")))


def sureness(cluster: Cluster) -> tuple[tuple[str, str], ...]:
    """Return how sure a cluster is: names and figures, unknown ones said to be unknown."""
    model = cluster.certainty
    split = bool(cluster.n_children)
    return (
        ("Stability", _stability(cluster.stability)),
        ("AUC", _figure(model.auc if model else None, ".3f")),
        ("Calibration error", _figure(model.calibration_error if model else None, ".3f")),
        ("Fidelity (split)", _figure(cluster.fidelity, ".2f") if split else "not split"),
        (
            "Agreement (split)",
            _figure(cluster.agreement, ".0%") if split else "not split",
        ),
    )


def _stability(value: float | None) -> str:
    found = _figure(value, ".2f")
    return f"{found}: unstable" if value is not None and value < UNSTABLE else found


def _figure(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


def differs(cell: Cell | None) -> bool:
    """Tell whether an outside answer is marked as different from the rest's."""
    return cell is not None and is_discovery(cell.q)


def number(value: float) -> str:
    """Return a mean or median as people read it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
